package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// logsPerMinute bounds the log: what is logged is caused by an agent, which
// could fill the operator's disk.
const logsPerMinute = 120

// newLog writes JSON lines to w, at most logsPerMinute of them.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(&bounded{Handler: slog.NewJSONHandler(w, nil), budget: &budget{}})
}

// bounded is a slog.Handler that leaves out what is over the budget, and says so
// with the first line of the next minute.
type bounded struct {
	slog.Handler
	budget *budget
}

type budget struct {
	mu            sync.Mutex
	since         time.Time
	used, dropped int
}

// take reports whether there is room for one more line at now, and how many
// lines were left out before it.
func (b *budget) take(now time.Time) (ok bool, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.since) >= time.Minute {
		dropped, b.since, b.used, b.dropped = b.dropped, now, 0, 0
	}
	if b.used >= logsPerMinute {
		b.dropped++
		return false, 0
	}
	b.used++
	return true, dropped
}

func (h *bounded) Handle(ctx context.Context, r slog.Record) error {
	ok, dropped := h.budget.take(time.Now())
	if !ok {
		return nil
	}
	if dropped > 0 {
		r.AddAttrs(slog.Int("left_out_before", dropped))
	}
	return h.Handler.Handle(ctx, r)
}

func (h *bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &bounded{h.Handler.WithAttrs(attrs), h.budget}
}

func (h *bounded) WithGroup(name string) slog.Handler {
	return &bounded{h.Handler.WithGroup(name), h.budget}
}
