package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bottle/pkg/canary"
	"bottle/pkg/cli"
	"bottle/pkg/clients"
	"bottle/pkg/sandbox"
)

// What the bottle says and the log has is a stranger's, and the canary decides.
func TestTable(t *testing.T) {
	var said bytes.Buffer
	enc := json.NewEncoder(&said)
	special := map[string]clients.Report{
		"curl":       {Program: "/bin/curl", Version: "1\x1b[31m", Stream: true, Socket: true},
		"wget":       {Program: "/bin/wget", Version: "1.1", Stream: true, Said: "lies"}, // nothing has come
		"git":        {Program: "/bin/git", Version: "2.1", Said: "bad\tcertificate\x07\nhint: do this"},
		"node-fetch": {Program: "/bin/node", Version: "20.1", Said: "no such host"},
		"apt":        {Program: "/bin/apt-get", Dead: true, Said: "no such file"},
		"docker":     {Program: "/bin/docker", Version: "1.2"},
	}
	for _, c := range clients.List() {
		r := special[c.Name]
		r.Client = c.Name
		enc.Encode(r)
	}
	log := filepath.Join(t.TempDir(), "access.jsonl")
	line := `{"time":"2026-07-28T12:00:00Z","method":"CONNECT","host":"HOST.canary.test","port":443,"path":"","verdict":"error","code":"CODE","status":0}` + "\n"
	text := strings.NewReplacer("HOST", "git", "CODE", "agent-tls").Replace(line) + strings.NewReplacer("HOST", "npm", "CODE", "").Replace(line)
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := &probe{sights: []canary.Sight{{Client: "curl", Kind: canary.Request, HTTP2: true}, {Client: "curl", Kind: canary.Stream}}}
	tab := &table{sights: seen}
	if err := tab.read(said.Bytes(), log); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tab.print(&cli.Env{Stdout: &out}, &diagnosis{}); err != nil {
		t.Fatal(err)
	}
	if needs := tab.needs(); !slices.Equal(needs, []string{"node"}) {
		t.Errorf("needs %q", needs)
	}
	if err := tab.verdict(true); err == nil || !strings.HasPrefix(err.Error(), "3 of ") {
		t.Errorf("%v", err)
	}
	err := tab.verdict(false)
	if err == nil || err.Error() != "4 of the clients in the bottle do not come through" {
		t.Errorf("%v", err)
	}
	want := "curl\t1\\u{1b}[31m\tyes\tyes\tyes\tno\tyes\n" +
		"wget\t1.1\tno\t-\t-\t-\t-\n" +
		"git\t2.1\tyes\tno\t-\t-\t-\n" +
		"node-fetch\t20.1\tno\t-\t-\t-\t-\n" +
		"apt\t\t-\t-\t-\t-\t-\n" +
		"docker\t1.2\t-\t-\t-\t-\t-\n" +
		"hint: wget: it has not asked the proxy; it says: lies\n" +
		"hint: git: it does not trust the bottle's authority; it says: bad\\tcertificate\\u{7}\\nhint: do this\n"
	if got := out.String(); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	tab.rows[0].Version = "1\u009b31m\u202e2"
	out.Reset()
	if err := tab.print(&cli.Env{Stdout: &out}, &diagnosis{asJSON: true}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, `{"client":"curl","version":"1\u009b31m\u202e2",`) {
		t.Errorf("got %q", got)
	}
	if err := new(table).read([]byte("{}\n"), log); err == nil {
		t.Error("a report of nothing passes")
	}
	if err := new(table).read([]byte("words\n"), log); err == nil {
		t.Error("words pass for a report")
	}
}

// A start that fails in doctor's bottle is doctor's trouble, and a hint at what goes
// with that is none.
func TestNotTheAgents(t *testing.T) {
	p := &plan{root: "/tmp/x/state"}
	err := notTheAgents(cli.Exit(sandbox.CannotStart, errors.New("it ended:\n  why\nhint: its log is /tmp/x/state/web/origin.log\nhint: other")), p, nil)
	if err.Error() != "it ended:\n  why\nhint: other" || cli.CodeOf(err) != cli.Trouble {
		t.Errorf("%v, code %d", err, cli.CodeOf(err))
	}
	if err := notTheAgents(cli.Refusedf("no"), p, nil); err.Error() != "no" || cli.CodeOf(err) != cli.No {
		t.Errorf("%v, code %d", err, cli.CodeOf(err))
	}
	if err := notTheAgents(cli.Exit(42, cli.Silent), p, []byte("\x1b[31mred\n")); !strings.HasSuffix(err.Error(), ":\n  \\u{1b}[31mred") || cli.CodeOf(err) != cli.Trouble {
		t.Errorf("%v, code %d", err, cli.CodeOf(err))
	}
}

func TestNodeAsks(t *testing.T) {
	for version, want := range map[string]bool{"v18.20.8\n": false, "v20.20.2": false, "v22.20.9": false, "v22.21.0": true, "v23.11.1": false, "v24.4.1": false, "v24.5.0": true, "v26.0.0": true, "": true, "words": true} {
		if got := nodeAsks(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

// Lines of a hint keep together, and nothing in a finding moves a terminal.
func TestFinding(t *testing.T) {
	f := finding{saysNo, "backend local", "clone: \x1b[2J\tno", []string{"one line", "put into /etc/x\n    abi <abi/4.0>,\n      userns,\x07\n  then: load it"}}
	var out bytes.Buffer
	if err := f.print(&out, false); err != nil {
		t.Fatal(err)
	}
	want := "says no\tbackend local\tclone: \\u{1b}[2J\\tno\nhint: one line\nhint: put into /etc/x\n      abi <abi/4.0>,\n        userns,\\u{7}\n    then: load it\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
	out.Reset()
	if err := f.print(&out, true); err != nil || !strings.HasPrefix(out.String(), `{"state":"says no","thing":"backend local","found":"clone: \u001b[2J`) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%v, %q", err, out.String())
	}
	what, hints := advised(errors.New("it fails\nfor two reasons\nhint: a\n  b\nhint: c"))
	if what != "it fails\nfor two reasons" || !slices.Equal(hints, []string{"a\n  b", "c"}) {
		t.Errorf("%q %q", what, hints)
	}
}
