package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"bottle/pkg/accesslog"
	"bottle/pkg/bottle"
	"bottle/pkg/canary"
	"bottle/pkg/cli"
	"bottle/pkg/clients"
	"bottle/pkg/escape"
)

// A table is what became of the clients.
type table struct {
	has    []string // the manifest's clients
	sights *probe
	rows   []outcome
}

// An outcome is one client. Proxy, Authority, HTTP2, Socket and Stream are yes, no, or
// - where that is not known or not done.
type outcome struct {
	Client    string `json:"client"`
	Version   string `json:"version"`
	Proxy     string `json:"proxy"`
	Authority string `json:"authority"`
	HTTP2     string `json:"http2"`
	Socket    string `json:"websocket"`
	Stream    string `json:"sse"`
	Said      string `json:"said,omitempty"` // what it printed of a failure
	Hint      string `json:"hint,omitempty"`
	Needs     string `json:"needs,omitempty"` // of the manifest's clients
}

const (
	yes     = "yes"
	no      = "no"
	unknown = "-"
	absent  = "absent" // in the place of a version
)

func yesIf(b bool) string {
	if b {
		return yes
	}
	return no
}

// read makes the rows of what the bottle has said, the proxy's log, and what the
// canary has seen.
func (t *table) read(said []byte, log string) error {
	reports := map[string]clients.Report{}
	dec := json.NewDecoder(bytes.NewReader(said))
	for dec.More() {
		var r clients.Report
		if err := dec.Decode(&r); err != nil {
			return fmt.Errorf("what the clients' trial says is no report: %w", err)
		}
		reports[r.Client] = r
	}
	t.awaitStreams(reports)
	asked, err := connections(log)
	if err != nil {
		return err
	}
	for _, c := range clients.List() {
		r, ok := reports[c.Name]
		if !ok {
			return fmt.Errorf("the trial has no report of %s; wanted one of each client", c.Name)
		}
		t.rows = append(t.rows, t.row(c, r, asked[c.Name]))
	}
	return nil
}

// asking is what the proxy's log has of a client: a code and a reason, both "" where
// nothing was wrong.
type asking struct{ code, reason string }

// connections are the clients of which the proxy knows.
func connections(log string) (map[string]*asking, error) {
	f, err := os.Open(log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nobody asked
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	asked := map[string]*asking{}
	_, err = accesslog.Read(f, func(l *accesslog.Line) error {
		if client := canary.ClientOf(l.Host); client != "" && (asked[client] == nil || asked[client].code == "") {
			asked[client] = &asking{l.Code, l.Reason}
		}
		return nil
	})
	return asked, err
}

// tlsRefused is egress-proxy's code for a handshake that the agent broke off.
const tlsRefused = "agent-tls"

func (t *table) row(c clients.Client, r clients.Report, asked *asking) outcome {
	w := outcome{Client: c.Name, Version: r.Version, Proxy: no, Authority: unknown, HTTP2: unknown, Socket: unknown, Stream: unknown}
	switch {
	case r.Program == "" || r.None:
		w.Version, w.Proxy = absent, unknown
		return w
	case c.Name == clients.Engine:
		w.Proxy, w.Hint = unknown, engineHint
		return w
	case r.Dead:
		w.Proxy, w.Said = unknown, r.Said
		w.Hint = "it does not run: " + r.Said
		return w
	case t.sights.has(c.Name, canary.Request, nil):
		w.Proxy, w.Authority = yes, yes
	case asked != nil:
		w.Proxy = yes
		if asked.code == tlsRefused {
			w.Authority = no
		} else if asked.reason != "" {
			r.Said = "egress-proxy: " + asked.reason
		}
	}
	if w.Authority == yes {
		if r.Plain {
			return w
		}
		if c.HTTP2 {
			w.HTTP2 = yesIf(t.sights.has(c.Name, canary.Request, func(s canary.Sight) bool { return s.HTTP2 }))
		}
		if c.Socket && !r.NoSocket {
			w.Socket = yesIf(r.Socket && t.sights.has(c.Name, canary.Socket, nil))
		}
		if c.Stream {
			w.Stream = yesIf(r.Stream && t.sights.has(c.Name, canary.Stream, nil))
		}
		return w
	}
	w.Said = r.Said
	if helps := c.Needs == bottle.ClientJava && w.Authority == no || c.Needs == bottle.ClientNode && w.Proxy == no; helps && !slices.Contains(t.has, c.Needs) {
		w.Needs = c.Needs
	}
	w.Hint = hintFor(w)
	return w
}

// engineHint is for a client of container engines.
const engineHint = "no engine can be reached from a bottle, and none should be: an agent gets other programs by the tool capability-block (-backend docker), or from you"

// hintFor says what to do about a client that did not come through.
func hintFor(w outcome) string {
	said := ""
	if w.Said != "" {
		said = "; it says: " + w.Said
	}
	if w.Needs != "" {
		said += "; 'clients: [" + w.Needs + "]' in the manifest helps, and doctor -fix writes it"
	}
	switch {
	case w.Authority == no:
		return "it does not trust the bottle's authority" + said
	case w.Proxy == yes:
		return "it has asked the proxy, and nothing has come through" + said
	}
	return "it has not asked the proxy" + said
}

// awaitStreams waits until the canary knows that the clients have left its event
// streams, which takes the proxy a moment longer than them.
func (t *table) awaitStreams(reports map[string]clients.Report) {
	for late := time.Now().Add(time.Second); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		waiting := false
		for name, r := range reports {
			waiting = waiting || r.Stream && t.sights.has(name, canary.Request, nil) && !t.sights.has(name, canary.Stream, nil)
		}
		if !waiting {
			return
		}
	}
}

// print writes a line for each client that is there, and what to do about the
// others.
func (t *table) print(env *cli.Env, d *diagnosis) error {
	var b, hints strings.Builder
	for _, w := range t.rows {
		if w.Version == absent && !d.verbose {
			continue
		}
		if d.asJSON {
			if err := writeJSON(&b, w); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(&b, "%s\n", strings.Join([]string{w.Client, escape.Text(w.Version, 0), w.Proxy, w.Authority, w.HTTP2, w.Socket, w.Stream}, "\t"))
		if w.Hint != "" {
			fmt.Fprintf(&hints, "hint: %s: %s\n", w.Client, escape.Text(w.Hint, 0))
		}
	}
	_, err := fmt.Fprint(env.Stdout, b.String(), hints.String())
	return err
}

// needs are the clients that the manifest should name.
func (t *table) needs() (list []string) {
	for _, w := range t.rows {
		if w.Needs != "" && !slices.Contains(list, w.Needs) {
			list = append(list, w.Needs)
		}
	}
	slices.Sort(list)
	return list
}

// verdict is the answer: no, unless all clients came through, or will by what was
// written.
func (t *table) verdict(written bool) error {
	failed := 0
	for _, w := range t.rows {
		if w.failed() && !(written && w.Needs != "") {
			failed++
		}
	}
	if failed > 0 {
		return cli.Refusedf("%d of the clients in the bottle do not come through", failed)
	}
	return nil
}

// failed tells a client that is there and cannot be used.
func (w outcome) failed() bool {
	return w.Version != absent && w.Client != clients.Engine && w.Authority != yes
}
