package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bottle/pkg/canary"
)

// program makes a script in a folder of its own, and returns the folder.
func program(t *testing.T, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// all tries what is in a PATH.
func all(t *testing.T, path string) map[string]Report {
	t.Helper()
	var out bytes.Buffer
	if err := All(t.Context(), &out, path, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	reports := map[string]Report{}
	for dec := json.NewDecoder(&out); dec.More(); {
		var r Report
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		reports[r.Client] = r
	}
	return reports
}

// Each client is a label of a host name, and asks for nothing but its own host.
func TestList(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range List() {
		if seen[c.Name] || !regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(c.Name) {
			t.Errorf("%s", c.Name)
		}
		seen[c.Name] = true
		var all []string
		for _, args := range c.tries {
			all = append(all, args...)
		}
		text := strings.Join(append(all, c.env...), " ")
		for _, f := range c.files {
			text += " " + f
		}
		if c.Name != Engine && !strings.Contains(text, "https://{host}") {
			t.Errorf("%s asks for nothing", c.Name)
		}
	}
}

func TestNothingFound(t *testing.T) {
	reports := all(t, "")
	if len(reports) != len(List()) {
		t.Errorf("%d reports", len(reports))
	}
	for name, r := range reports {
		if r != (Report{Client: name}) {
			t.Errorf("%+v", r)
		}
	}
}

func TestTries(t *testing.T) {
	curl := program(t, "curl", `case "$*" in
--version) echo "curl 1.2.3 (of a test)" ;;
*sse*) echo "data: `+canary.StreamMark+`"; sleep 60 ;;
*websocket*) echo "`+canary.SocketMark+`" ;;
*) echo "asked for $3" >&2; echo "curl: (60) no trust in the certificate" >&2; echo more >&2; exit 60 ;;
esac`)
	wget := program(t, "wget", "exit 4")
	r := all(t, curl+":"+wget)["curl"]
	if r.Program != filepath.Join(curl, "curl") || r.Version != "1.2.3" || !r.Stream || !r.Socket || r.Said != "curl: (60) no trust in the certificate" {
		t.Errorf("%+v", r)
	}
	if r := all(t, wget)["wget"]; r.Said != "exit status 4" || r.Stream || r.Socket {
		t.Errorf("%+v", r)
	}
	broken := program(t, "git", "")
	if err := os.WriteFile(filepath.Join(broken, "git"), []byte("#!/nonexistent/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r := all(t, broken)["git"]; !r.Dead || !strings.Contains(r.Said, "no such file") {
		t.Errorf("%+v", r)
	}
	if r := all(t, program(t, "python3", `echo "`+None+`" >&2; exit 1`))["python-requests"]; !r.None {
		t.Errorf("%+v", r)
	}
}

// A client that prints without end is ended, and what it has started too.
func TestFloods(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	dir := program(t, "flood", "while :; do echo more; done & wait")
	got := Client{Name: "flood"}.run(ctx, t.TempDir(), filepath.Join(dir, "flood"), nil)
	if got.err == nil || len(got.out) != maxOutput {
		t.Errorf("%v, %d bytes", got.err, len(got.out))
	}
}

func TestWords(t *testing.T) {
	for said, want := range map[string]string{
		"curl 7.88.1 (x86_64) libcurl/7": "7.88.1", "git version 2.39.5\n": "2.39.5", "v20.20.2": "20.20.2", "go version go1.26.8 linux/amd64": "1.26.8",
		"Picked up JAVA_TOOL_OPTIONS: -Dhttp.proxyHost=127.0.0.1\nopenjdk version \"17.0.15\" 2025-04-15": "17.0.15", "none": "", "": "",
	} {
		if got := versionIn(ran{out: said}); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
	for said, want := range map[string]string{"a\nError: x\n  at y\n": "Error: x", "a\nb\n": "b", "x\nPicked up JAVA_TOOL_OPTIONS: -Da=error": "x", "Picked up x": "cause", "": "cause", strings.Repeat("x", 1000): strings.Repeat("x", maxSaid)} {
		if got := lastLine(said, errors.New("cause")); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}
