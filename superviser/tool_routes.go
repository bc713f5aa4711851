package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"bottle/pkg/escape"
	"bottle/pkg/mcp"
	"bottle/pkg/route"
	"bottle/pkg/strictjson"
)

// maxListing bounds the listing in bytes: Claude Code shows the model only the
// beginning of what is longer than about 25,000 tokens.
const maxListing = 48 << 10

// routesTool tells what is allowed. It changes nothing and needs no approval.
func (a *agent) routesTool() mcp.Tool {
	return mcp.Tool{
		Name: "list-egress-proxy-routes", Title: "List the routes of egress-proxy",
		Description: `List what egress-proxy lets through now, one route a line as JSON: host (*.example.com is example.com and everything below), path_allowlist (prefixes; absent means every path), methods, ports, expires; a route with token_env gets its credential from egress-proxy, so send none. The most exact host decides. Call it before egress-proxy-block when you are not sure what is allowed. It needs no approval and changes nothing.`,
		InputSchema: json.RawMessage(`{"type":"object","additionalProperties":false}`),
		Annotations: mcp.Annotations{ReadOnly: true, Idempotent: true},
		Call:        a.routes,
	}
}

func (a *agent) routes(ctx context.Context, c mcp.Call) (mcp.Result, error) {
	if m, err := strictjson.Object(c.Arguments); err != nil || len(m) > 0 {
		return refused("list-egress-proxy-routes takes no arguments", "call it with {}"), nil
	}
	t, err := a.live(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return mcp.Result{}, ctx.Err()
		}
		a.log.Warn("allowlist", "bottle", a.bottle, "error", escape.Text(err.Error(), 0))
		return mcp.Result{
			Text:    "trouble: the routes cannot be read from egress-proxy now\nnext: try again later; proposals with egress-proxy-block are taken nevertheless",
			IsError: true,
		}, nil
	}
	return mcp.Result{Text: listing(t)}, nil
}

// listing is the table as text: its size, then one route a line.
func listing(t *route.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d routes\n", len(t.Routes))
	for i, r := range t.Routes {
		r.Note = "" // the operator's own
		line, err := strictjson.Encode(r)
		if err != nil {
			panic(err) // a time beyond the year 9999 does not parse
		}
		if b.Len()+len(line) > maxListing {
			fmt.Fprintf(&b, "%d more routes are left out here; egress-proxy-block tells whether a host is allowed\n", len(t.Routes)-i)
			break
		}
		b.Write(line)
	}
	return b.String()
}
