package scripts

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bottle/pkg/route"
)

// table is a table with these hosts.
func table(hosts ...string) string {
	if len(hosts) == 0 {
		return "routes: []\n"
	}
	s := "routes:\n"
	for _, h := range hosts {
		s += "  - host: " + h + "\n"
	}
	return s
}

// served fails the test unless the running proxy serves exactly these hosts.
func (b *bottle) served(hosts ...string) {
	b.t.Helper()
	t, err := route.Parse("table", []byte(b.op.must("routesctl", "show", "-bottle", b.name)))
	if err != nil {
		b.t.Fatal(err)
	}
	var got []string
	for _, r := range t.Routes {
		got = append(got, r.Host)
	}
	slices.Sort(got)
	if slices.Sort(hosts); !slices.Equal(got, hosts) {
		b.t.Errorf("the proxy serves %q; wanted %q", got, hosts)
	}
}

func (op *operator) file(name, text string) string {
	op.t.Helper()
	path := filepath.Join(op.home, name)
	op.write(path, text, 0o644)
	return path
}

// TestApply: exit 0 means that the running proxy serves the table, exit 1 that
// nothing was changed.
//
// README: `routesctl apply` succeeds only when the running proxy has
// confirmed the table. An unreadable, torn or invalid file never passes for
// success; the old table serves on.
func TestApply(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("web")
		if status, code, body := b.get("https://new.test/"); status != 403 || code != route.HostNotAllowed || !strings.HasPrefix(body, notAllowed("new.test")+"\n") {
			t.Errorf("before: %d %s %s", status, code, body)
		}
		was := op.file("was.yaml", op.must("routesctl", "show", "-bottle", "web"))
		first := b.status()
		r := op.want(1, "", "routesctl", "apply", "-bottle", "web", op.file("bad.yaml", "routes:\n  - host: new.test\n    path: /\n  - {}\n"))
		if !strings.Contains(r.errors, "bad.yaml:3:5: ") || !strings.Contains(r.errors, "bad.yaml:4:5: ") {
			t.Errorf("a bad table: wanted both faults with their places; got %v", r)
		}
		if s := b.status(); !reflect.DeepEqual(s, first) {
			t.Errorf("a bad table: the proxy was asked: %+v", s)
		}
		op.must("routesctl", "apply", "-bottle", "web", op.file("next.yaml", table("allowed.test", "new.test")))
		if status, _, body := b.get("https://new.test/"); status != 200 || body != "hello from new.test\n" {
			t.Errorf("after: %d %s", status, body)
		}
		op.want(1, "is no longer "+was+"; nothing was changed", "routesctl", "apply", "-bottle", "web", "-was", was, op.file("other.yaml", table("short.test")))
		b.served("allowed.test", "new.test")
		op.must("routesctl", "apply", "-bottle", "web", "-was", op.file("next.yaml", "# a comment\n"+table("allowed.test", "new.test")), was)
		if status, code, _ := b.get("https://new.test/"); status != 403 || code != route.HostNotAllowed {
			t.Errorf("taken away: %d %s", status, code)
		}
	})
}

// TestNoAnswer: a proxy that does not answer is no success, the message names
// the state of both sides, and the old table serves on.
func TestNoAnswer(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("mute")
		proxy := b.record().Parts["egress-proxy"]
		if err := proxy.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		r := op.want(3, "no answer from the proxy", "routesctl", "apply", "-bottle", "mute", "-wait", "300ms", op.file("next.yaml", table("allowed.test", "new.test")))
		for _, text := range []string{"the previous table is in the file again", "pipelock already allows new.test (harmless)", "routes unknown", "hint: "} {
			if !strings.Contains(r.errors, text) {
				t.Errorf("wanted %q in the message; got %v", text, r)
			}
		}
		before := b.status().Generation
		if err := proxy.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		await(t, "the proxy answers", func() bool { return b.status().Generation > before })
		b.served("allowed.test")
		if status, _, _ := b.get("https://allowed.test/"); status != 200 {
			t.Errorf("the old route: %d", status)
		}
		if status, _, _ := b.get("https://new.test/"); status != 403 {
			t.Errorf("the new route: %d", status)
		}
		op.must("routesctl", "apply", "-bottle", "mute", op.file("next.yaml", table("allowed.test", "new.test")))
		if status, _, _ := b.get("https://new.test/"); status != 200 {
			t.Errorf("after a second apply: %d", status)
		}
	})
}

// TestTornNext: what a copy that was torn leaves never becomes the table.
func TestTornNext(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("torn")
		dir, proxy := op.dir("torn"), b.record().Parts["egress-proxy"]
		routes, err := os.ReadFile(dir.Routes())
		if err != nil {
			t.Fatal(err)
		}
		whole := table("new.test", "allowed.test")
		for name, put := range map[string]func(){
			"torn":         func() { op.write(dir.Next(), whole[:len(whole)-len("ed.test\n")]+`"`, 0o644) },
			"empty":        func() { op.write(dir.Next(), "", 0o644) },
			"a folder":     func() { op.mkdir(dir.Next()) },
			"not readable": func() { op.write(dir.Next(), whole, 0) },
		} {
			if name == "not readable" && op.uid == 0 {
				continue // root reads it
			}
			before := b.status()
			put()
			must(t, proxy.Signal(syscall.SIGHUP))
			await(t, "the proxy answers", func() bool { return b.status().Generation > before.Generation })
			after := b.status()
			if after.Error == "" || after.Digest != before.Digest {
				t.Errorf("%s: %+v", name, after)
			}
			if now, err := os.ReadFile(dir.Routes()); err != nil || string(now) != string(routes) {
				t.Errorf("%s: the table's file is %q, %v", name, now, err)
			}
			must(t, os.RemoveAll(dir.Next()))
		}
		if status, _, _ := b.get("https://new.test/"); status != 403 {
			t.Errorf("the torn table serves: %d", status)
		}
		op.must("routesctl", "apply", "-bottle", "torn", op.file("next.yaml", whole))
		b.served("allowed.test", "new.test")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
