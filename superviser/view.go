package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"bottle/pkg/escape"
	"bottle/pkg/proposal"
	"bottle/pkg/route"
	"bottle/pkg/strictjson"
)

// view is a proposal as the operator decides about it: what would change, what
// that means, and the digest that an approval is bound to.
type view struct {
	proposal.Record
	Changes []route.Change `json:"changes,omitempty"`
	Risks   []string       `json:"risks,omitempty"`
	Digest  string         `json:"digest,omitempty"` // "" without a table to compare with
}

// digest binds an approval to every byte of the record and to the table.
func digest(r proposal.Record, t *route.Table) (string, error) {
	line, err := strictjson.Encode(r)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(line)
	h.Write([]byte(t.Digest()))
	return hex.EncodeToString(h.Sum(nil)), nil
}

// viewOf shows r against the table now that is served.
func viewOf(r proposal.Record, p route.Proposal, now *route.Table, uses map[string]int64) (view, error) {
	next, m, err := route.Merge(now, p)
	if err != nil {
		return view{}, err
	}
	if next, err = grant(next, now, p.Host, time.Now(), order{}, uses); err != nil {
		return view{}, err
	}
	d, err := digest(r, now)
	if err != nil {
		return view{}, err
	}
	return view{r, route.Diff(now, next), risks(p, now, next, m, uses), d}, nil
}

// risks is the blast radius of p in words.
func risks(p route.Proposal, now, next *route.Table, m route.Merged, uses map[string]int64) []string {
	was, is := find(now, p.Host), find(next, p.Host)
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if was == nil && m.Shadows == "" {
		add("new host: the bottle may send data to %s, which no route names so far", p.Host)
	}
	if was == nil && len(p.Host) > 2 && p.Host[:2] == "*." {
		add("wildcard: %s and every host below it, whoever runs it", p.Host[2:])
	}
	if m.Shadows != "" {
		add("shadows: %s decides about this host now; the new route takes its place there, with its own paths and without its credential", m.Shadows)
	}
	if m.NewSlot != "" {
		add("credential: the value of YOUR variable %s will be sent to %s", m.TokenRef, p.Host)
	}
	if m.AuthIgnored {
		add("credential: the proposed auth is ignored, since the host has a route")
	}
	if was != nil && was.TokenEnv != "" && m.Changed {
		add("credential: what is added is reached with the route's credential %s", was.TokenEnv)
	}
	if everyPath(is) && (was == nil || !everyPath(was)) {
		add("every path: no path of %s is refused any more", p.Host)
	}
	if w := writes(was, is); len(w) > 0 {
		add("write: %s newly allowed", words("method", w))
	}
	if was != nil && was.Ended(time.Now(), uses) {
		how := fmt.Sprintf("been used up, after %d uses", was.MaxUses)
		if was.Expired(time.Now()) {
			how = "expired at " + was.Expires.UTC().Format(time.RFC3339)
		}
		add("renewed: the route had %s; all it has is live again: %s", how, routeTerms(is))
	}
	if long := slices.Concat(p.PathAllowlist, p.Methods); len(strings.Join(long, " ")) > maxShown {
		add("long: %d paths and %d methods, of which the text here leaves some out; 'show -proposal' has them all", len(p.PathAllowlist), len(p.Methods))
	}
	if now.Digest() == next.Digest() {
		add("no change: the table has all of this already")
	}
	return list
}

// maxShown is how many bytes of lists surely fit where show cuts a line.
const maxShown = escape.Limit / 2

func everyPath(r *route.Route) bool {
	return r.PathAllowlist == nil || slices.Contains(r.PathAllowlist, "/")
}

// writes is which methods that may change something on the other side the route
// gains; all of them stand for "every".
func writes(was, is *route.Route) []string {
	if was != nil && was.Methods == nil && !was.Expired(time.Now()) {
		return nil
	}
	if is.Methods == nil {
		return []string{"POST", "PUT", "PATCH", "DELETE", "and others"}
	}
	var list []string
	for _, m := range is.Methods {
		safe := slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, m) // RFC 9110 §9.2.1
		if !safe && (was == nil || !slices.Contains(was.Methods, m)) {
			list = append(list, m)
		}
	}
	return list
}

// find is the route of t that is spelt host.
func find(t *route.Table, host string) *route.Route {
	i := slices.IndexFunc(t.Routes, func(r route.Route) bool { return r.Host == host })
	if i < 0 {
		return nil
	}
	return &t.Routes[i]
}
