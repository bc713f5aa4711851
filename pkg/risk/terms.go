package risk

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bottle/pkg/route"
)

// Terms are what one must know of a route to use it, each in a few words.
func Terms(r *route.Route) []string {
	list := []string{Words("path", r.PathAllowlist), Words("method", r.Methods)}
	if r.Ports != nil {
		list = append(list, "ports "+strings.Trim(fmt.Sprint(r.Ports), "[]"))
	}
	if r.TokenEnv != "" {
		list = append(list, "egress-proxy adds the credential, send none")
	}
	if !r.Expires.IsZero() {
		list = append(list, "until "+r.Expires.UTC().Format(time.RFC3339))
	}
	if r.MaxUses > 0 {
		list = append(list, fmt.Sprintf("for %d requests", r.MaxUses))
	}
	return list
}

// Words is "every path", or "paths /a /b".
func Words(one string, list []string) string {
	if list == nil || one == "path" && slices.Contains(list, "/") {
		return "every " + one
	}
	return one + "s " + strings.Join(list, " ")
}
