package review

import (
	"fmt"
	"time"
)

// A Refusal is a request that a bottle's proxy refused.
type Refusal struct {
	Time                               time.Time
	Bottle, Method, Scheme, Host, Path string
	Reason                             string

	count int
}

// text is the refusal on one line, as it was written.
func (r *Refusal) text() string {
	times := ""
	if r.count > 1 {
		times = fmt.Sprintf(" (x%d)", r.count)
	}
	method := r.Method
	if method == "" {
		method = "?"
	}
	return fmt.Sprintf("%s %s%s %s %s%s", r.Time.Local().Format("15:04:05"), r.Bottle, times, method, r.Host, r.Path)
}

// maxRefusals bounds the tail.
const maxRefusals = 200

// refusals is the tail of what was refused, the newest last. The same request
// again and again is one.
type refusals struct{ list []Refusal }

func (t *refusals) add(r Refusal) {
	r.count = 1
	for i := len(t.list) - 1; i >= 0 && i >= len(t.list)-8; i-- {
		o := t.list[i]
		if o.Bottle == r.Bottle && o.Method == r.Method && o.Scheme == r.Scheme && o.Host == r.Host && o.Path == r.Path {
			r.count += o.count
			t.list = append(t.list[:i], t.list[i+1:]...)
			break
		}
	}
	if t.list = append(t.list, r); len(t.list) > maxRefusals {
		t.list = t.list[len(t.list)-maxRefusals:]
	}
}

// last is the newest n, the newest last.
func (t *refusals) last(n int) []Refusal {
	return t.list[max(0, len(t.list)-n):]
}
