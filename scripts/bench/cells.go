package main

import (
	"fmt"
	"strings"
)

// A cell measures one thing.
type cell struct {
	name, what string
	run        func(*lap) (values, error)
	unseen     bool // needs names of hosts that nobody has seen
	process    bool // is about the target's process: not for direct
	figures    []figure
}

// A figure is one number of a cell.
type figure struct {
	key, label, format string
	ratio              bool // stands in the table of ratios; for all those less is better
}

const micro, second = 1e-6, 1.0 // units of CPU time

func cpu(unit string) figure        { return figure{"cpu", "CPU µs / " + unit, "%.1f", true} }
func rate(unit string) figure       { return figure{"rate", unit + "s / s", "%.0f", false} }
func delay(q string, r bool) figure { return figure{q, "delay " + q + " µs", "%.0f", r} }

var cells = []*cell{
	{name: "ka", what: "requests over kept connections, HTTP/1.1", run: keepAlive,
		figures: []figure{cpu("request"), rate("request"), delay("p50", false), delay("p99", false)}},
	{name: "h2", what: "the agent speaks HTTP/2", run: http2,
		figures: []figure{cpu("request"), rate("request")}},
	{name: "hs", what: "new tunnel to a known host", run: knownHost,
		figures: []figure{cpu("tunnel"), rate("tunnel"), delay("p99", false)}},
	{name: "hsm", what: "new tunnel to an unseen host", run: unseenHost, unseen: true,
		figures: []figure{cpu("tunnel"), rate("tunnel"), delay("p99", false)}},
	{name: "down", what: "download", run: download,
		figures: []figure{{"cpu", "CPU s / GB", "%.2f", true}, {"rate", "GB / s", "%.2f", false}}},
	{name: "up", what: "upload", run: upload,
		figures: []figure{{"cpu", "CPU s / GB", "%.2f", true}, {"rate", "GB / s", "%.2f", false}}},
	{name: "sse", what: "server-sent events", run: events,
		figures: []figure{cpu("event"), delay("p50", true), delay("p99", false)}},
	{name: "ws", what: "WebSocket messages", run: webSocket,
		figures: []figure{cpu("message"), rate("message"), delay("p99", false)}},
	{name: "idle", what: "idle tunnels", run: idleTunnels, process: true,
		figures: []figure{{"kib", "KiB / tunnel", "%.1f", true}, {"cpu", "CPU % while idle", "%.1f", false}, {"n", "tunnels", "%.0f", false}}},
	{name: "start", what: "start", run: startUp, process: true,
		figures: []figure{{"ms", "ms to first answer", "%.0f", true}, {"mib", "resident MiB", "%.1f", true}}},
}

func cellNames() string {
	var names []string
	for _, c := range cells {
		names = append(names, c.name)
	}
	return strings.Join(names, ",")
}

// brief is a sample in one line.
func (c *cell) brief(s *sample) string {
	if s.Error != "" {
		return "FAILED " + s.Error
	}
	var parts []string
	for _, f := range c.figures {
		parts = append(parts, f.label+" "+fmt.Sprintf(f.format, s.Values[f.key]))
	}
	if o := s.Values["others"]; o > 0.1 {
		parts = append(parts, fmt.Sprintf("(other work had %.1f cores)", o))
	}
	return strings.Join(parts, "  ")
}
