package bottle

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"bottle/pkg/strictyaml"
)

func parseFile(t *testing.T, path string) (*Manifest, string, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(filepath.Base(path), data)
	return m, string(data), err
}

func files(t *testing.T, glob string) []string {
	t.Helper()
	names, err := filepath.Glob(glob)
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures match %s (%v)", glob, err)
	}
	return names
}

func TestValid(t *testing.T) {
	for _, path := range files(t, "testdata/valid/*.yaml") {
		m, _, err := parseFile(t, path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if _, _, err := EffectiveRoutes(m); err != nil {
			t.Errorf("%s: effective routes: %v", path, err)
		}
	}
}

// TestInvalid: each fixture begins with the faults it has, "# want: LINE:COL: …".
func TestInvalid(t *testing.T) {
	for _, path := range files(t, "testdata/invalid/*.yaml") {
		m, text, err := parseFile(t, path)
		faults, ok := err.(strictyaml.Faults)
		if !ok {
			t.Errorf("%s: got %+v, %v; want faults", path, m, err)
			continue
		}
		var want []string
		for line := range strings.Lines(text) {
			if w, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "# want: "); ok {
				want = append(want, filepath.Base(path)+":"+w)
			}
		}
		if len(want) != len(faults) {
			t.Errorf("%s: %d faults, want %d:\n%v", path, len(faults), len(want), faults)
			continue
		}
		for i, f := range faults {
			if !strings.HasPrefix(f.Error(), want[i]) {
				t.Errorf("got  %s\nwant %s", f.Error(), want[i])
			}
		}
	}
}

func TestEveryField(t *testing.T) {
	m, _, err := parseFile(t, "testdata/valid/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m.EgressProxy.Routes = nil // they are pkg/route's
	want := &Manifest{
		Name: "web-1", Agent: "claude", agentNamed: true, Command: []string{"claude", "-p", "fix the tests"}, Workspace: ".",
		Env:        []Var{{"LANG", "C.UTF-8"}, {"IS_SANDBOX", "1"}},
		Clients:    []string{"java", "node"},
		Backend:    "docker",
		Dockerfile: "images/Dockerfile",
		Allowlist:  []string{"pypi.org", "*.pythonhosted.org", "xn--bcher-kva.example"},
		EgressProxy: EgressProxy{
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
			UpstreamCA:   "certs/company.pem",
		},
		Pipelock: Pipelock{Program: "pipelock", Config: "pipelock.yaml"},
		Protect:  Protect{Mask: []string{"config/prod.yaml", "*.p12", "private/"}, Show: []string{"./.env"}},
		Limits:   Limits{Memory: 4 << 30, Pids: 512, CPUs: 1.5, Idle: 30 * time.Minute, Wall: 8 * time.Hour},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got\n%+v\nwant\n%+v", m, want)
	}
}

func TestDefaults(t *testing.T) {
	m, _, err := parseFile(t, "testdata/valid/minimal.yaml")
	want := &Manifest{Name: "box", Agent: "none", Protect: Protect{GitConfig: true, Secrets: true}}
	if err != nil || !reflect.DeepEqual(m, want) || !m.Pipelock.Off() {
		t.Errorf("got %+v, %v; want %+v", m, err, want)
	}
}

func TestMemory(t *testing.T) {
	cases := map[string]int64{
		"16777216": 16 << 20, "16384k": 16 << 20, "512m": 512 << 20, "4g": 4 << 30,
		"": 0, "m": 0, "4G": 0, "4gb": 0, "-4g": 0, "+4g": 0, "04g": 0, "1.5g": 0, "15m": 0, "9999999999g": 0, "4 g": 0,
	}
	for s, want := range cases {
		if got, ok := parseMemory(s); ok != (want != 0) || ok && got != want {
			t.Errorf("%q: got %d, %v; want %d", s, got, ok, want)
		}
	}
}

func TestAgent(t *testing.T) {
	cases := []struct{ yaml, agent, after string }{
		{"command: [/usr/local/bin/claude, -p, x]", "claude", "codex"},
		{"command: [bash]", "none", "codex"},
		{"name: x", "none", "codex"},
		{"command: [bash]\nagent: claude", "claude", "claude"},
		{"agent: none", "none", "none"},
		{"agent: none\ncommand: [claude]", "none", "none"},
	}
	for _, c := range cases {
		m, err := Parse("m", []byte(c.yaml))
		if err != nil || m.Agent != c.agent {
			t.Errorf("%q: got %+v, %v; want %s", c.yaml, m, err, c.agent)
			continue
		}
		if m.SetCommand([]string{"codex"}); m.Agent != c.after {
			t.Errorf("%q: with another command %s; want %s", c.yaml, m.Agent, c.after)
		}
	}
}

// TestSetCommand: a program is the manifest's by its agent's name, or its own.
func TestSetCommand(t *testing.T) {
	cases := []struct {
		yaml    string
		command []string
		want    string
	}{
		{"agent: claude\ncommand: [/x/claude.exe, --model, y]", []string{"claude", "-p", "hi"}, "/x/claude.exe -p hi"},
		{"command: [/x/opencode.exe]", []string{"opencode", "run"}, "/x/opencode.exe run"},
		{"command: [/x/opencode]", []string{"opencode", "run"}, "/x/opencode run"},
		{"agent: claude\ncommand: [/x/claude.exe]", []string{"/y/claude"}, "/y/claude"},
		{"agent: claude\ncommand: [/x/claude.exe]", []string{"sh", "-c", "claude"}, "sh -c claude"},
		{"agent: none\ncommand: [/x/run]", []string{"none"}, "none"},
		{"agent: claude", []string{"claude"}, "claude"},
	}
	for _, c := range cases {
		m := mustParse(t, c.yaml)
		if m.SetCommand(c.command); strings.Join(m.Command, " ") != c.want {
			t.Errorf("%q with %q: got %q; want %q", c.yaml, c.command, m.Command, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	names, _ := filepath.Glob("testdata/*/*.yaml")
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("m", data)
		if err != nil {
			return
		}
		if _, _, err := EffectiveRoutes(m); err != nil {
			t.Errorf("%q is valid, its routes are not: %v", data, err)
		}
		if _, err := Env(m, Outlet{ProxyURL: "http://127.0.0.1:9099"}); err != nil {
			t.Error(err)
		}
	})
}
