package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"bottle/pkg/escape"
)

//go:embed page.html
var pageText string

// page is parsed when it is written, and not at every start of bottlerun.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"clean": clean, "bytes": bytesOf, "ms": msOf, "clock": clock, "stamp": stamp, "dash": dash, "sign": sign, "count": count,
	}).Parse(pageText))
})

// The rows that a page shows; the rest is counted.
const (
	shownHosts    = 100
	shownRefusals = 60
	shownEvents   = 200
)

// view is what the page is made of.
type view struct {
	*Report
	Total                               tally
	Chart                               *chart
	Hosts                               []hostRow
	MoreHosts, MoreRefusals, MoreEvents int
	Refusals                            []refusalRow
	Slow, Failed                        []notable
	Events                              []event
	Grants                              []grant
	Notes                               []string
	First, Last                         time.Time
	Nothing                             bool
}

type hostRow struct {
	*hostTally
	// Parts of 100, for the bar of the row.
	AllowedAt, RefusedAt, FailedAt, AllowedW, RefusedW, FailedW float64
}

type refusalRow struct {
	refusal
	Count int
}

// Write writes the page.
func (r *Report) Write(w io.Writer) error {
	v := view{Report: r, Total: r.total, Chart: r.chart(), Slow: r.slow, Failed: r.failed, Grants: r.grants, Notes: r.notes}
	v.hosts()
	v.refusals()
	v.Events = slices.Clone(r.events)
	slices.SortStableFunc(v.Events, func(a, b event) int { return b.Time.Compare(a.Time) })
	v.Events, v.MoreEvents = first(v.Events, shownEvents)
	from, to, some := r.span()
	v.First, v.Last, v.Nothing = time.Unix(from*60, 0).UTC(), time.Unix(to*60, 0).UTC(), !some
	return page().Execute(w, v)
}

// hosts sorts the busiest first; the longest bar is the busiest one's.
func (v *view) hosts() {
	list := slices.SortedFunc(maps.Values(v.Report.hosts), func(a, b *hostTally) int {
		return cmp.Or(b.all()-a.all(), strings.Compare(a.Name, b.Name))
	})
	list, v.MoreHosts = first(list, shownHosts)
	for _, h := range list {
		row := hostRow{hostTally: h}
		scale := 100 / float64(list[0].all())
		row.AllowedW, row.RefusedW, row.FailedW = float64(h.Allowed)*scale, float64(h.Refused)*scale, float64(h.counts.Failed)*scale
		row.RefusedAt = row.AllowedW
		row.FailedAt = row.RefusedAt + row.RefusedW
		v.Hosts = append(v.Hosts, row)
	}
}

func (v *view) refusals() {
	for what, n := range v.Report.refused {
		v.Refusals = append(v.Refusals, refusalRow{what, n})
	}
	slices.SortFunc(v.Refusals, func(a, b refusalRow) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Host, b.Host), strings.Compare(a.Reason, b.Reason))
	})
	v.Refusals, v.MoreRefusals = first(v.Refusals, shownRefusals)
}

func first[T any](list []T, n int) (shown []T, more int) {
	if len(list) <= n {
		return list, 0
	}
	return list[:n], len(list) - n
}

// clean makes what an agent wrote visible for what it is; see package escape.
func clean(s string) string { return escape.Text(s, 160) }

func bytesOf(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 || f >= 100 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

func msOf(ms float64) string {
	switch {
	case ms <= 0:
		return "–"
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// count is n with thin spaces between thousands.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// sign is the class of a line of a diff.
func sign(line string) string {
	switch {
	case strings.HasPrefix(line, "+"):
		return "plus"
	case strings.HasPrefix(line, "-"):
		return "minus"
	case strings.HasPrefix(line, "!"):
		return "alert"
	}
	return "change"
}

// left is the time that a grant still has, in words.
func (v view) Left(g grant) string {
	switch {
	case g.Ended:
		return "ended"
	case !g.Expires.IsZero():
		return "in " + g.Expires.Sub(v.Made).Truncate(time.Second).String()
	}
	return fmt.Sprintf("%d uses left", int64(g.MaxUses)-g.Uses)
}
