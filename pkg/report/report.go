// Package report is one page about what a bottle's agent talked to: a document
// that stands by itself, without script and without anything from elsewhere. What
// an agent put into a host, a path or a proposal is data and never markup.
package report

import (
	"cmp"
	"io"
	"slices"
	"time"

	"bottle/pkg/accesslog"
	"bottle/pkg/audit"
	"bottle/pkg/route"
)

// Limits of what is kept, since an agent chose what was asked for. What is over
// them is counted together.
const (
	maxHosts   = 2000
	maxReasons = 2000
	maxMinutes = 60 * 24 * 31 // of the time line; later ones count as the last
	maxNotable = 15           // slow ones, failed ones
	maxEvents  = 2000
)

// A Report gathers what the page tells.
type Report struct {
	Bottle string
	Made   time.Time
	Since  time.Time // requests and decisions before are left out; may be zero

	total   tally
	hosts   map[string]*hostTally
	minutes map[int64]*counts
	refused map[refusal]int
	slow    []notable // the slowest first
	failed  []notable // the latest first
	events  []event
	grants  []grant
	notes   []string
}

// counts are exchanges by what became of them.
type counts struct{ Allowed, Refused, Failed int }

func (c counts) all() int { return c.Allowed + c.Refused + c.Failed }

// tally is counts and bytes.
type tally struct {
	counts
	Sent, Received int64
}

type hostTally struct {
	tally
	Name    string
	Slowest float64 // to the answer's head, in ms
	Last    time.Time
}

// A refusal is what was asked for in vain.
type refusal struct{ Host, Code, Reason string }

// notable is one exchange that a person may want to see.
type notable struct {
	Time           time.Time
	Method, URL    string
	Status         int
	Ms             float64
	Reason, Closed string
}

// New is an empty report.
func New(bottle string, made time.Time) *Report {
	return &Report{Bottle: bottle, Made: made, hosts: map[string]*hostTally{}, minutes: map[int64]*counts{}, refused: map[refusal]int{}}
}

// Note adds a sentence about what the report lacks.
func (r *Report) Note(text string) { r.notes = append(r.notes, text) }

// Read takes an access log into the report.
func (r *Report) Read(log io.Reader) (accesslog.Count, error) {
	return accesslog.Read(log, func(l *accesslog.Line) error {
		r.add(l)
		return nil
	})
}

func (r *Report) add(l *accesslog.Line) {
	at, err := l.When()
	if err != nil || at.Before(r.Since) || l.Verdict == "introspect" {
		return
	}
	at = at.UTC()
	one := counts{}
	switch l.Verdict {
	case "allow":
		one.Allowed = 1
	case "error":
		one.Failed = 1
	default:
		one.Refused = 1
	}
	h := r.host(l.Host)
	for _, c := range []*counts{&r.total.counts, &h.counts, r.minute(at)} {
		c.Allowed, c.Refused, c.Failed = c.Allowed+one.Allowed, c.Refused+one.Refused, c.Failed+one.Failed
	}
	for _, t := range []*tally{&r.total, &h.tally} {
		t.Sent, t.Received = t.Sent+l.Sent, t.Received+l.Received
	}
	h.Slowest = max(h.Slowest, l.FirstMs)
	if at.After(h.Last) {
		h.Last = at
	}
	r.remember(l, at, one)
}

// remember keeps the exchange if it is one that people look for.
func (r *Report) remember(l *accesslog.Line, at time.Time, one counts) {
	n := notable{Time: at, Method: l.Method, URL: l.Scheme + "://" + l.Host + l.Path, Status: l.Status, Ms: cmp.Or(l.FirstMs, l.Ms), Reason: l.Reason, Closed: l.Error}
	if one.Refused == 1 {
		what := refusal{l.Host, l.Code, l.Reason}
		if _, ok := r.refused[what]; !ok && len(r.refused) >= maxReasons {
			what = refusal{Reason: "others"}
		}
		r.refused[what]++
		return
	}
	if one.Failed == 1 || l.Error != "" {
		r.failed = keep(r.failed, n, func(a, b notable) int { return b.Time.Compare(a.Time) })
		return
	}
	if n.Ms > 0 {
		r.slow = keep(r.slow, n, func(a, b notable) int { return cmp.Compare(b.Ms, a.Ms) })
	}
}

// keep puts n into the list, which is sorted and short.
func keep(list []notable, n notable, by func(a, b notable) int) []notable {
	i, _ := slices.BinarySearchFunc(list, n, by)
	if i == maxNotable {
		return list
	}
	list = slices.Insert(list, i, n)
	return list[:min(len(list), maxNotable)]
}

func (r *Report) host(name string) *hostTally {
	h := r.hosts[name]
	if h == nil && len(r.hosts) >= maxHosts {
		name = "others"
		h = r.hosts[name]
	}
	if h == nil {
		h = &hostTally{Name: name}
		r.hosts[name] = h
	}
	return h
}

func (r *Report) minute(at time.Time) *counts {
	m := at.Unix() / 60
	c := r.minutes[m]
	if c == nil && len(r.minutes) >= maxMinutes {
		for m = range r.minutes { // any: the log is of more than a month
			return r.minutes[m]
		}
	}
	if c == nil {
		c = &counts{}
		r.minutes[m] = c
	}
	return c
}

// A grant is a route that ends by itself.
type grant struct {
	Host    string
	Expires time.Time
	MaxUses int
	Uses    int64
	Ended   bool
}

// Grants takes the routes of the table that end by themselves; uses are as in
// route.Query.
func (r *Report) Grants(t *route.Table, uses map[string]int64) {
	for i := range t.Routes {
		x := &t.Routes[i]
		if !x.Expires.IsZero() || x.MaxUses > 0 {
			r.grants = append(r.grants, grant{x.Host, x.Expires, x.MaxUses, uses[x.Host], x.Ended(r.Made, uses)})
		}
	}
}

// Decisions takes the audit log in the file path into the report. A line that does
// not follow from the ones before it ends the reading and is an *audit.BadLine.
func (r *Report) Decisions(path string) error {
	return audit.Each(path, func(_ []byte, e audit.Entry) error {
		if !e.Time.Before(r.Since) && len(r.events) < maxEvents {
			r.events = append(r.events, eventOf(e))
		}
		return nil
	})
}
