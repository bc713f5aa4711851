package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWatchLeft: what is printed and what is asked for both put idleness off,
// and neither puts off the end of the whole time.
func TestWatchLeft(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.jsonl")
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	o := &watch{idle: time.Minute, wall: time.Hour, log: log}
	for _, c := range []struct {
		after time.Duration
		do    func()
		want  time.Duration
		why   string
	}{
		{10 * time.Second, func() {}, 50 * time.Second, "idle"},
		{70 * time.Second, func() { o.printed.Store(at(30 * time.Second).UnixNano()) }, 20 * time.Second, "idle"},
		{100 * time.Second, func() {
			if err := os.WriteFile(log, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			os.Chtimes(log, at(90*time.Second), at(90*time.Second))
		}, 50 * time.Second, "idle"},
		{151 * time.Second, func() {}, -time.Second, "idle"},
		{time.Hour, func() { o.printed.Store(at(time.Hour).UnixNano()) }, 0, "wall"},
	} {
		c.do()
		left, why := o.left(start, at(c.after))
		if d := left - c.want; d > time.Millisecond || d < -time.Millisecond || !strings.HasPrefix(why, "limits."+c.why) {
			t.Errorf("after %v: %v, %s; want %v, %s", c.after, left, why, c.want, c.why)
		}
	}
}
