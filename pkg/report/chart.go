package report

import (
	"fmt"
	"time"
)

// The time line in units of its own: the page scales it.
const (
	chartWidth, chartHeight = 960, 180
	chartBars               = 96
)

// A chart is the time line: one bar for each stretch of time, a mark for each
// decision.
type chart struct {
	Width, Height, Base int
	Bars                []bar
	Marks               []mark
	Ticks               []tick
	Most                int    // requests in the highest bar
	Step                string // what one bar is
}

// A bar has three parts, one above the other.
type bar struct {
	X, Width                    int
	AllowedY, Allowed           int
	RefusedY, Refused           int
	FailedY, Failed             int
	From                        time.Time
	NAllowed, NRefused, NFailed int
}

type mark struct {
	X     int
	Kind  string
	Title string
}

type tick struct {
	X     int
	Label string
}

// steps are the lengths of time that a bar may stand for, in minutes.
var steps = []int64{1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 10080}

// chart is the time line, nil when there was nothing.
func (r *Report) chart() *chart {
	first, last, some := r.span()
	if !some {
		return nil
	}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if (last-first)/s < chartBars {
			step = s
			break
		}
	}
	for (last-first)/step >= chartBars {
		step *= 2
	}
	first -= first % step
	bars := make([]counts, chartBars)
	for m, c := range r.minutes {
		b := &bars[min((m-first)/step, chartBars-1)]
		b.Allowed, b.Refused, b.Failed = b.Allowed+c.Allowed, b.Refused+c.Refused, b.Failed+c.Failed
	}
	ch := &chart{Width: chartWidth, Height: chartHeight + 40, Base: chartHeight, Step: stepText(step)}
	for _, c := range bars {
		ch.Most = max(ch.Most, c.all())
	}
	used := int((last-first)/step) + 1
	width := chartWidth / max(used, 24) // few bars are wide ones, but no walls
	for i, c := range bars[:used] {
		if c.all() > 0 {
			ch.Bars = append(ch.Bars, barOf(c, i*width, width, ch.Most, time.Unix((first+int64(i)*step)*60, 0).UTC()))
		}
	}
	ch.marks(r.events, first, step, width)
	ch.ticks(first, step, width, used)
	return ch
}

// stepText is a number of minutes in words.
func stepText(minutes int64) string {
	switch {
	case minutes%1440 == 0:
		return fmt.Sprintf("%d d", minutes/1440)
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", minutes/60)
	}
	return fmt.Sprintf("%d min", minutes)
}

// span is the first and the last minute that something happened in.
func (r *Report) span() (first, last int64, some bool) {
	note := func(m int64) {
		if !some || m < first {
			first = m
		}
		if !some || m > last {
			last = m
		}
		some = true
	}
	for m := range r.minutes {
		note(m)
	}
	for _, e := range r.events {
		note(e.Time.Unix() / 60)
	}
	return first, last, some
}

// barOf draws at least a trace of what there is.
func barOf(c counts, x, width, most int, from time.Time) bar {
	part := func(n int) int {
		if n == 0 {
			return 0
		}
		return max(2, n*(chartHeight-10)/most)
	}
	b := bar{X: x + 1, Width: max(width-2, 2), From: from, NAllowed: c.Allowed, NRefused: c.Refused, NFailed: c.Failed,
		Allowed: part(c.Allowed), Refused: part(c.Refused), Failed: part(c.Failed)}
	b.AllowedY = chartHeight - b.Allowed
	b.RefusedY = b.AllowedY - b.Refused
	b.FailedY = b.RefusedY - b.Failed
	return b
}

func (ch *chart) marks(events []event, first, step int64, width int) {
	for _, e := range events {
		at := float64(e.Time.Unix())/60 - float64(first)
		title := clock(e.Time) + " " + e.Decision
		if e.What != "" {
			title += ": " + clean(e.What)
		}
		if e.Reason != "" {
			title += " (" + clean(e.Reason) + ")"
		}
		ch.Marks = append(ch.Marks, mark{X: min(int(at/float64(step)*float64(width)), chartWidth-6) + 3, Kind: e.kind(), Title: title})
	}
}

// ticks are at most six labels below the bars.
func (ch *chart) ticks(first, step int64, width, used int) {
	every := max(1, (max(used, 24)+5)/6)
	for i := 0; i*width < chartWidth-80; i += every {
		at := time.Unix((first+int64(i)*step)*60, 0).UTC()
		label := at.Format("15:04")
		if i == 0 || int64(every)*step >= 1440 {
			label = at.Format("2 Jan 15:04")
		}
		ch.Ticks = append(ch.Ticks, tick{i * width, label})
	}
}
