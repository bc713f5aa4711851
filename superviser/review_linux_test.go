package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/proposal"
	"bottle/pkg/reload"
	"bottle/pkg/route"
	"bottle/pkg/state"
	"bottle/pkg/term/termtest"
)

// A deskTest is a state folder with the bottle web, which runs as far as its
// files tell, and a routesctl that installs what it is given.
type deskTest struct {
	t   *testing.T
	dir state.Dir
	env []string
}

const nowTable = "routes:\n- host: api.github.com\n  path_allowlist: [/repos/me]\n  methods: [GET]\n"

// fakeRoutesctl does what routesctl does with a bottle, to a file. merge adds
// one host, whatever the proposal.
const fakeRoutesctl = `#!/bin/sh
table=$BOTTLE_DIR/web/egress-proxy/routes.yaml
case $1 in
show) cat "$table" ;;
merge) cat "$2"; echo '- host: new.example' ;;
validate) ;;
apply) for next; do :; done; cp "$next" "$table"; echo "routesctl: installed, 日本" >&2 ;;
edit) echo "routesctl edit: $EDITOR $3"; echo "edited \033[2J in vain" >&2; exit 1 ;;
esac
`

func newDeskTest(t *testing.T) *deskTest {
	t.Helper()
	root := t.TempDir()
	dir, err := state.At(root, "web")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(root, "bin")
	table, err := route.Parse("now", []byte(nowTable))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		dir.Make(),
		dir.Save(state.Record{Name: "web", Backend: "local", Started: time.Now(), Boot: state.Boot()}),
		os.WriteFile(dir.Routes(), []byte(nowTable), 0o644),
		reload.Write(dir.Status(), reload.Status{Digest: table.Digest(), Generation: 1, Routes: 1}),
		os.Mkdir(bin, 0o755),
		os.WriteFile(filepath.Join(bin, "routesctl"), []byte(fakeRoutesctl), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	release, err := dir.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return &deskTest{t: t, dir: dir, env: []string{
		"BOTTLE_DIR=" + root, "PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + root, "USER=op", "TERM=xterm", "TZ=UTC",
		"BOTTLE_DOCKER=/nonexistent/docker", "EDITOR=sed -i s,/repos/you$,/repos/you/one,", "GORACE=atexit_sleep_ms=0",
	}}
}

// file puts a proposal into the queue and returns its ID.
func (d *deskTest) file(p route.Proposal, why string) string {
	d.t.Helper()
	q, err := proposal.Open(d.dir.Queue(), proposal.Limits{PerMinute: 1000, Pending: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	defer q.Close()
	r, _, err := q.Submit(context.Background(), proposal.Request{Component: proposal.EgressProxy, Proposal: proposal.OfRoute(p), Justification: why, Client: "agent"})
	if err != nil {
		d.t.Fatal(err)
	}
	return r.ID
}

// some files what the tests look at.
func (d *deskTest) some() (newHost, more string) {
	more = d.file(route.Proposal{Host: "api.github.com", PathAllowlist: []string{"/repos/you"}}, "to read\x1b[2J\n! risk: none at all \u202e")
	return d.file(route.Proposal{Host: "new.example"}, "the build fetches from 日本 there, again and again, whatever one does about it"), more
}

func (d *deskTest) review(width, height int, env ...string) *termtest.Session {
	cmd := exec.Command("superviser", "review", "-bottle", "web")
	cmd.Env = append(d.env, env...)
	return termtest.Start(d.t, cmd, width, height)
}

// decision waits for the decision on a proposal.
func (d *deskTest) decision(id string) *proposal.Decision {
	d.t.Helper()
	q, err := proposal.Open(d.dir.Queue(), proposal.Limits{})
	if err != nil {
		d.t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := q.Wait(ctx, id)
	if err != nil {
		d.t.Fatal(err)
	}
	return r.Decision
}

var filed = regexp.MustCompile(`filed [-0-9T:]+Z`)

// goldenScreen compares a screen with testdata/screens/NAME.txt. When things were
// filed is left out.
func goldenScreen(t *testing.T, name, got string) {
	t.Helper()
	got = filed.ReplaceAllString(got, "filed 2026-01-02T03:04:05Z")
	path := filepath.Join("testdata", "screens", name+".txt")
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: the screen is\n%swant\n%s", path, got, want)
	}
}

func closed(t *testing.T, s *termtest.Session, code int) {
	t.Helper()
	if got := s.End(); got != code {
		t.Errorf("exit %d; want %d", got, code)
	}
	s.Until(func(c termtest.Screen) bool { return !c.Alternate && c.Wraps && c.Cursor && !c.Pastes }, "the terminal as it was")
}

func TestReview(t *testing.T) {
	t.Parallel()
	d := newDeskTest(t)
	newHost, more := d.some()
	s := d.review(80, 24)
	goldenScreen(t, "review_80x24", s.Wait("2 proposals in 1 bottle", newHost))
	s.Resize(40, 15)
	goldenScreen(t, "review_40x15", s.Wait("2 waiting, 1 bottle", "q quit"))
	s.Resize(80, 24)
	s.Wait("2 proposals in 1 bottle", newHost)

	// It changes while it is looked at: refusals, and what another one proposes.
	log := `{"time":"2026-01-02T03:04:05Z","method":"GET","scheme":"https","host":"evil\u001b[2J.example","path":"/x","verdict":"block","reason":"no"}` + "\n"
	if err := os.WriteFile(d.dir.AccessLog(), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Wait("refused (t: all)", `03:04:05 web GET evil\u{1b}[2J.example/x`)
	third := d.file(route.Proposal{Host: "*.wild.example"}, "more")
	s.Wait("3 proposals in 1 bottle", "*.wild.example")

	s.Type("r")
	s.Wait("reject, because:")
	s.Type("not \x1b[200~that\x1b[2J one\x1b[201~\r")
	s.Wait("done: reject new.example in web", "2 proposals")
	if got := d.decision(newHost); got.Verdict != proposal.Rejected || got.Reason != "not that[2J one" {
		t.Errorf("%+v", got)
	}
	s.Wait("-- api.github.com in web", more)
	s.Type("p")
	s.Wait("-- *.wild.example in web", third)
	s.Type("q")
	closed(t, s, 0)
}

func TestReviewApproves(t *testing.T) {
	t.Parallel()
	d := newDeskTest(t)
	newHost := d.file(route.Proposal{Host: "new.example"}, "x")
	s := d.review(80, 24)
	s.Wait(newHost)
	// At once it is only now that it has come on the screen: until that is over
	// the key does nothing.
	s.Until(func(c termtest.Screen) bool {
		s.Type("f")
		return strings.Contains(c.String(), "approve for")
	}, "the line for a term")
	s.Type("\x15" + "1h\r") // ^U: f was typed more than once
	s.Wait("done: approve new.example in web", "routesctl: installed, 日本", "no proposal")
	if got := d.decision(newHost); got.Verdict != proposal.Approved || got.Expires == nil {
		t.Errorf("%+v", got)
	}
	s.Type("q")
	closed(t, s, 0)
}

func TestReviewNarrows(t *testing.T) {
	t.Parallel()
	d := newDeskTest(t)
	id := d.file(route.Proposal{Host: "api.github.com", PathAllowlist: []string{"/repos/you"}, Methods: []string{"GET", "POST"}}, "x")
	d.env = append(d.env, `EDITOR=sed -i -e s,/repos/you",/repos/you/one", -e /POST/d`)
	s := d.review(80, 24)
	s.Wait(id, "method POST added")
	s.Type("e")
	text := s.Wait("narrowed by you", "path /repos/you/one added")
	if strings.Contains(text, "POST") {
		t.Errorf("POST is still there:\n%s", text)
	}
	s.Type("R")
	s.Wait(`edited \u{1b}[2J in vain`)
	s.Type("q")
	closed(t, s, 0)
}

// TestReviewBindsToTheScreen: a table that changes behind the screen is shown
// anew, and a key that comes with it approves nothing.
func TestReviewBindsToTheScreen(t *testing.T) {
	t.Parallel()
	d := newDeskTest(t)
	id := d.file(route.Proposal{Host: "api.github.com", PathAllowlist: []string{"/repos/you"}}, "x")
	s := d.review(80, 24)
	s.Wait(id, "path /repos/you added")
	wider := "routes:\n- host: api.github.com\n  auth_scheme: Bearer\n  token_env: EGRESS_PROXY_TOKEN_0\n  path_allowlist: [/repos/me]\n"
	table, err := route.Parse("wider", []byte(wider))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.dir.Routes(), []byte(wider), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := reload.Write(d.dir.Status(), reload.Status{Digest: table.Digest(), Generation: 2, Routes: 1}); err != nil {
		t.Fatal(err)
	}
	s.Wait("what is shown is new", "reached with the route's credential")
	s.Type("q")
	closed(t, s, 0)
}

func TestReviewEndsWell(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		d := newDeskTest(t)
		newHost, _ := d.some()
		s := d.review(80, 24)
		s.Wait(newHost)
		if err := s.Cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		closed(t, s, 0)
	}
}

func TestReviewColours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env             string
		styles, colours bool
	}{{"TERM=xterm", true, true}, {"NO_COLOR=1", true, false}, {"TERM=dumb", false, false}} {
		d := newDeskTest(t)
		newHost, _ := d.some()
		s := d.review(80, 24, c.env)
		s.Wait(newHost)
		if got := s.Shown(); (got.Styles > 0) != c.styles || (got.Colours > 0) != c.colours {
			t.Errorf("%s: %d styles, %d of them colours", c.env, got.Styles, got.Colours)
		}
		s.Type("q")
		closed(t, s, 0)
	}
}

// TestReviewStops: ^Z gives the terminal to the shell, fg takes it back.
func TestReviewStops(t *testing.T) {
	t.Parallel()
	d := newDeskTest(t)
	newHost, _ := d.some()
	cmd := exec.Command("sh", "-i")
	cmd.Env = append(d.env, "PS1=shell> ", "ENV=")
	s := termtest.Start(t, cmd, 80, 24)
	before := func(text string) {
		t.Helper()
		s.Until(func(c termtest.Screen) bool { return !c.Alternate && strings.Contains(c.Before, text) }, text)
	}
	before("shell> ")
	s.Type("superviser review -bottle web\n")
	s.Wait(newHost)
	s.Type("\x1a")
	before("topped")
	s.Type("stty -a | grep -o ' icanon'; echo now\n")
	before(" icanon\r\nnow")
	s.Type("fg\n")
	s.Wait(newHost)
	s.Type("q")
	s.Until(func(c termtest.Screen) bool { return !c.Alternate }, "the shell")
	s.Type("echo status $?\nexit\n")
	before("status 0")
	s.End()
}

// TestReviewSendsLittle: over a slow line a key costs what it changes.
func TestReviewSendsLittle(t *testing.T) {
	t.Parallel()
	d := newDeskTest(t)
	for _, host := range []string{"a.example", "b.example"} {
		d.file(route.Proposal{Host: host}, "x")
	}
	s := d.review(80, 24)
	s.Wait("2 proposals", "-- b.example in web")
	whole := s.Shown().Sent
	s.Type("n")
	s.Wait("-- a.example in web")
	if sent := s.Shown().Sent - whole; sent > 700 {
		t.Errorf("the next proposal costs %d bytes, the first screen was %d", sent, whole)
	}
	s.Type("q")
	closed(t, s, 0)
}

func TestReviewWantsATerminal(t *testing.T) {
	t.Parallel()
	d := newDeskTest(t)
	cmd := exec.Command("superviser", "review", "-bottle", "web")
	cmd.Env = d.env
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "not a terminal") || !strings.Contains(string(out), "hint: ") {
		t.Errorf("%v, %q", err, out)
	}
}

// TestReviewInTmux has the screen drawn by a terminal that others wrote.
func TestReviewInTmux(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip(err)
	}
	d := newDeskTest(t)
	newHost, _ := d.some()
	sock := filepath.Join(t.TempDir(), "s")
	tmux := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("tmux", append([]string{"-u", "-f", "/dev/null", "-S", sock}, args...)...)
		cmd.Env = d.env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v, %s", args, err, out)
		}
		return string(out)
	}
	wait := func(ok func(string) bool) string {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			text := tmux("capture-pane", "-p")
			if ok(text) {
				return text
			}
			if time.Now().After(end) {
				t.Fatalf("the screen is\n%s", text)
			}
		}
	}
	has := func(words ...string) func(string) bool {
		return func(text string) bool {
			for _, w := range words {
				if !strings.Contains(text, w) {
					return false
				}
			}
			return true
		}
	}
	tmux("new-session", "-d", "-x", "80", "-y", "24", "sh -c 'superviser review -bottle web; echo exit $?; read x'")
	t.Cleanup(func() { exec.Command("tmux", "-S", sock, "kill-server").Run() })
	goldenScreen(t, "review_80x24", wait(has("2 proposals in 1 bottle", newHost, "q quit")))
	tmux("resize-window", "-x", "40", "-y", "15")
	goldenScreen(t, "review_40x15", wait(has("2 waiting, 1 bottle", "q quit")))
	tmux("send-keys", "Down")
	wait(has(">   api.github.com"))
	tmux("send-keys", "q")
	wait(has("exit 0"))
}
