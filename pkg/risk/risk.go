// Package risk says in words how far a proposal reaches: what an approval would
// open that is closed now. The operator's list, show and screen use it alike.
package risk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"bottle/pkg/escape"
	"bottle/pkg/route"
)

// A Level is how far something reaches.
type Level int

// The levels. Their numbers are stable.
const (
	Low      Level = iota // next to nothing is opened
	Medium                // something new, with bounds
	High                  // something new that may change things, or without bounds
	Critical              // hosts that nobody has named, or a credential
)

// String is the level in lists.
func (l Level) String() string {
	names := []string{"low", "medium", "high", "critical"}
	if l < Low || int(l) >= len(names) {
		return "unknown"
	}
	return names[l]
}

// A Risk is one thing that an approval means.
type Risk struct {
	Level Level
	Text  string // "KIND: what, in words"; it may quote an agent, so it is not yet escaped
}

// A Case is one route that is asked for, and the table with and without it.
type Case struct {
	Proposal  route.Proposal
	Now, Next *route.Table // Next is Now with the proposal, as it would be installed
	Merged    route.Merged
	Uses      map[string]int64 // of the routes of Now so far
	At        time.Time
	Refused   []Refusal // recent ones, for what an approval would cure
}

// Of is what c means, the worst first.
func Of(c Case) []Risk {
	var l list
	was, is := find(c.Now, c.Proposal.Host), find(c.Next, c.Proposal.Host)
	if is == nil {
		return []Risk{{Critical, "unknown: the new table has no route " + c.Proposal.Host}}
	}
	if was == nil {
		l.newHost(c, is)
		l = append(l, Name(is.Host, c.Now)...)
	} else {
		l.known(c, was, is)
	}
	ended := was != nil && was.Ended(c.At, c.Uses)
	if w := writes(was, is, ended); len(w) > 0 {
		l.add(High, "write: methods %s newly allowed", strings.Join(w, " "))
	}
	if c.Merged.AuthIgnored {
		l.add(Low, "credential: the proposed auth is ignored, since the host has a route")
	}
	if p := c.Proposal; len(strings.Join(slices.Concat(p.PathAllowlist, p.Methods), " ")) > maxShown {
		l.add(Medium, "long: %d paths and %d methods, of which the text here leaves some out; 'show -proposal' has them all", len(p.PathAllowlist), len(p.Methods))
	}
	if n := Cured(c); n > 0 {
		l.add(Low, "cures: %s among the recent refusals would have passed", count(n, "request"))
	}
	if c.Now.Digest() == c.Next.Digest() {
		l.add(Low, "no change: the table has all of this already")
	}
	slices.SortStableFunc(l, func(a, b Risk) int { return cmp.Compare(b.Level, a.Level) })
	return l
}

// Max is the level of the worst; Low of none.
func Max(risks []Risk) Level {
	worst := Low
	for _, r := range risks {
		worst = max(worst, r.Level)
	}
	return worst
}

// Texts are the texts of risks.
func Texts(risks []Risk) []string {
	var list []string
	for _, r := range risks {
		list = append(list, r.Text)
	}
	return list
}

type list []Risk

func (l *list) add(level Level, format string, args ...any) {
	*l = append(*l, Risk{level, fmt.Sprintf(format, args...)})
}

// newHost is about a host that has no route of its own.
func (l *list) newHost(c Case, is *route.Route) {
	host := is.Host
	if c.Merged.Shadows == "" {
		l.add(Medium, "new host: the bottle may send data to %s, which no route names so far", host)
	} else {
		l.add(Medium, "shadows: %s decides about this host now; the new route takes its place there, with its own paths and without its credential", c.Merged.Shadows)
	}
	if suffix, wild := strings.CutPrefix(host, "*."); wild {
		l.add(Critical, "wildcard: %s and every host below it, whoever runs it", suffix)
	}
	if c.Merged.NewSlot != "" {
		l.add(Critical, "credential: the value of YOUR variable %s will be sent to %s", c.Merged.TokenRef, host)
	}
	if everyPath(is) {
		l.add(Medium, "every path: no path of %s is refused any more", host)
	}
}

// known is about a host that has a route, which is widened or renewed.
func (l *list) known(c Case, was, is *route.Route) {
	ended := was.Ended(c.At, c.Uses)
	if was.TokenEnv != "" && (c.Merged.Changed || ended) {
		l.add(High, "credential: what is added is reached with the route's credential %s", was.TokenEnv)
	}
	if everyPath(is) && !everyPath(was) {
		l.add(High, "every path: no path of %s is refused any more", is.Host)
	}
	if !ended {
		return
	}
	how := fmt.Sprintf("been used up, after %d uses", was.MaxUses)
	if was.Expired(c.At) {
		how = "expired at " + was.Expires.UTC().Format(time.RFC3339)
	}
	l.add(Medium, "renewed: the route had %s; all it has is live again: %s", how, strings.Join(Terms(is), "; "))
}

// maxShown is how many bytes of lists surely fit where a text is cut.
const maxShown = escape.Limit / 2

func everyPath(r *route.Route) bool {
	return r.PathAllowlist == nil || slices.Contains(r.PathAllowlist, "/")
}

// writes is which methods that may change something on the other side the route
// gains; a new route without a list gains all, and one that had ended all it had.
func writes(was, is *route.Route, ended bool) []string {
	if ended {
		was = nil
	}
	if was != nil && was.Methods == nil {
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

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
