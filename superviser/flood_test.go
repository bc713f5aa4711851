package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/strictjson"
)

// TestFlood: a thousand proposals in a moment are a bounded queue and clear
// refusals.
func TestFlood(t *testing.T) {
	a, _ := newAgent(t, 0)
	tool := a.blockTool()
	filed := 0
	for i := range 1000 {
		r, err := tool.Call(t.Context(), callWith(fmt.Sprintf(`{"host":"h%d.example","justification":"x"}`, i)))
		switch {
		case err != nil:
			t.Fatal(err)
		case !r.IsError:
			filed++
		case !strings.Contains(r.Text, "were filed within a minute") || !strings.Contains(r.Text, "\nnext: wait a minute"):
			t.Fatalf("refused with %q", r.Text)
		}
	}
	if rs, _, err := a.queue.Pending(); err != nil || filed != 10 || len(rs) != filed {
		t.Errorf("%d filed, %d pending, %v; want 10", filed, len(rs), err)
	}
}

// TestListStaysUsable: of 500 files that wait for one host, and hostile ones among
// them, list makes two lines, and names few of the bad files.
func TestListStaysUsable(t *testing.T) {
	dir := t.TempDir()
	pending := filepath.Join(dir, "pending")
	if err := os.MkdirAll(pending, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(host, path string) {
		r := proposal.Record{Component: proposal.EgressProxy, Proposal: json.RawMessage(fmt.Sprintf(`{"host":%q,"path_allowlist":[%q]}`, host, path)), Justification: "\x1b[2J\u202e\n" + strings.Repeat("x", 3000)}
		r.ID = r.Digest()[:12] + "-1"
		line, err := strictjson.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(pending, r.ID+".json"), line, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 500 {
		put("one.example", fmt.Sprintf("/%d", i))
	}
	put("two.example", "/")
	for i := range 100 {
		if err := os.Symlink("/etc/passwd", filepath.Join(pending, fmt.Sprintf("%012d-1.json", i))); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	env := &cli.Env{Prog: "superviser", Verb: "list", Args: []string{"-queue", dir}, Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	if err := list(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), "\t500\tone.example\t") || !strings.Contains(out.String(), "\t1\ttwo.example\t") {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
	if n := strings.Count(errs.String(), "\n"); n != maxFaults+1 {
		t.Errorf("%d lines on stderr; want %d", n, maxFaults+1)
	}
	if strings.ContainsAny(out.String()+errs.String(), "\x1b\u202e") || strings.Contains(out.String(), "root:") {
		t.Error("something of it is not escaped, or was read through a link")
	}
}

// FuzzShow: whatever a file of the queue says, what show prints is lines of a key,
// a tab and visible text.
func FuzzShow(f *testing.F) {
	f.Add("0123456789ab-1", "new.example", "to build", "cli")
	f.Add("../../x", "a\x1b[2J", "x\u202e\nrisk\tnone", "\x00")
	f.Fuzz(func(t *testing.T, id, host, why, client string) {
		r := proposal.Record{ID: id, Component: proposal.EgressProxy, Proposal: proposal.OfHost(host), Justification: why, Client: client}
		for line := range strings.Lines((view{Record: r}).text()) {
			key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !ok || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz") != "" && !strings.HasPrefix(line, "proposal\t") || strings.ContainsAny(value, "\t\r\x1b\u202e\x00") {
				t.Errorf("%q", line)
			}
		}
	})
}
