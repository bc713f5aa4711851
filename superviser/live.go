package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/reload"
	"bottle/pkg/route"
	"bottle/pkg/state"
)

// A source reads the table that the bottle's proxy serves now.
type source func(context.Context) (*route.Table, error)

// errUnknown says that there is no place to read the table from.
var errUnknown = errors.New("the table that is served is not known here: neither -proxy nor -bottle was given")

// newSource is the proxy itself when its URL is given, else the files of the
// bottle, for a superviser outside that has no way to the bottle's listener.
func newSource(proxy string, dir state.Dir) (source, error) {
	if proxy == "" && dir == "" {
		return func(context.Context) (*route.Table, error) { return nil, errUnknown }, nil
	}
	if proxy == "" {
		return func(context.Context) (*route.Table, error) { return fromFiles(dir) }, nil
	}
	u, err := url.Parse(proxy)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, cli.Misused("-proxy %q: wanted http://HOST:PORT", proxy)
	}
	return fromProxy(u), nil
}

// introspection is where the proxy tells its table, in a name that it never
// forwards.
const introspection = "http://_egress-proxy.local/allowlist"

// fromProxy asks the proxy through itself, as the agent could.
func fromProxy(proxy *url.URL) source {
	client := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			Proxy:             http.ProxyURL(proxy),
			DisableKeepAlives: true, // the proxy may be replaced between two calls
		},
	}
	return func(ctx context.Context) (*route.Table, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, introspection, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("egress-proxy answered %s; wanted 200", resp.Status)
		}
		return readTable("allowlist", resp.Body)
	}
}

// fromFiles reads the bottle's table and believes it only if the proxy has said
// that it is the one it serves.
func fromFiles(dir state.Dir) (*route.Table, error) {
	f, err := os.Open(dir.Routes())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := readTable(dir.Routes(), f)
	if err != nil {
		return nil, err
	}
	st, err := reload.Read(dir.Status())
	if err != nil {
		return nil, err
	}
	if st.Digest != t.Digest() {
		return nil, errors.New("the routes file is not the table that the proxy serves")
	}
	return t, nil
}

func readTable(name string, r io.Reader) (*route.Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, route.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	return route.Parse(name, data)
}
