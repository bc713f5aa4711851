package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
	"bottle/pkg/reload"
	"bottle/pkg/route"
	"bottle/pkg/state"
)

// newAgent is a serve over a queue of its own, with a table that the test can
// change. With a nil table the proxy cannot be reached.
func newAgent(t *testing.T, wait time.Duration) (*agent, **route.Table) {
	t.Helper()
	q, err := proposal.Open(t.TempDir(), proposal.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	var tab *route.Table
	a := &agent{"web", q, func(context.Context) (*route.Table, error) {
		if tab == nil {
			return nil, errUnknown
		}
		return tab, nil
	}, wait, newLog(&bytes.Buffer{}), ""}
	return a, &tab
}

func callWith(args string) mcp.Call {
	return mcp.Call{Arguments: json.RawMessage(args), Client: "test", Progress: func(string) {}, Closing: make(chan struct{})}
}

// expect carries out a call and compares the first line of its answer.
func expect(t *testing.T, tool mcp.Tool, args string, isError bool, want string) string {
	t.Helper()
	r, err := tool.Call(t.Context(), callWith(args))
	first, _, _ := strings.Cut(r.Text, "\n")
	if err != nil || r.IsError != isError || !strings.Contains(first, want) {
		t.Fatalf("%s: got %q, %t, %v; want %q", args, r.Text, r.IsError, err, want)
	}
	return r.Text
}

func onlyPending(t *testing.T, a *agent) proposal.Record {
	t.Helper()
	rs, bad, err := a.queue.Pending()
	if err != nil || len(bad) > 0 || len(rs) != 1 {
		t.Fatalf("pending: %v, %v, %v; want one", rs, bad, err)
	}
	return rs[0]
}

const newHost = `{"host":"new.example","justification":"to build"}`

func TestBlockWaitsForTheDecision(t *testing.T) {
	a, tab := newAgent(t, time.Minute)
	*tab = table(t, testTable)
	type answer struct {
		r   mcp.Result
		err error
	}
	done := make(chan answer, 1)
	waits := make(chan string, 1)
	c := callWith(newHost)
	c.Progress = func(s string) { waits <- s }
	go func() {
		r, err := a.block(t.Context(), c)
		done <- answer{r, err}
	}()
	if s := <-waits; !strings.Contains(s, "waiting for the operator") {
		t.Errorf("progress says %q", s)
	}
	r := onlyPending(t, a)
	d := proposal.Decision{Verdict: proposal.Approved, Operator: "op", Time: time.Now(), Terms: []string{"every path", "methods GET"}, Reason: "fine"}
	if _, err := a.queue.Decide(t.Context(), r.ID, d); err != nil {
		t.Fatal(err)
	}
	got := <-done
	want := "approved: new.example is live; retry the request now\nproposal: " + r.ID + "\nterms: every path; methods GET\nreason: fine"
	if got.err != nil || got.r.Text != want || got.r.IsError {
		t.Errorf("got %q, %v; want %q", got.r.Text, got.err, want)
	}
	// It does not stand in the table any more: it may be proposed again.
	a.wait = 0
	expect(t, a.blockTool(), newHost, false, "pending: new.example")
	*tab = nil
	second := onlyPending(t, a)
	if second.ID == r.ID {
		t.Errorf("%s was taken for the lapsed one", second.ID)
	}
}

func TestBlockAnswers(t *testing.T) {
	a, tab := newAgent(t, 0)
	block := a.blockTool()
	text := expect(t, block, newHost, false, "pending: new.example is not decided yet")
	id := onlyPending(t, a).ID
	if !strings.Contains(text, "\nproposal: "+id+"\nnext: ") {
		t.Errorf("no ID and next step in %q", text)
	}
	expect(t, a.statusTool(), `{"id":"`+id+`"}`, false, "pending: new.example")
	if _, err := a.queue.Decide(t.Context(), id, proposal.Decision{Verdict: proposal.Rejected, Reason: "use the mirror", Operator: "op"}); err != nil {
		t.Fatal(err)
	}
	text = expect(t, block, newHost, false, "already rejected: new.example")
	if !strings.Contains(text, "\nreason: use the mirror\n") {
		t.Errorf("no reason in %q", text)
	}
	expect(t, a.statusTool(), `{"id":"`+id+`","wait_seconds":5}`, false, "rejected: new.example")
	*tab = table(t, testTable)
	expect(t, block, `{"host":"bare.example","justification":"x"}`, false, "already allowed: bare.example")
	expect(t, block, `{"host":"paths.example","justification":"x"}`, true, "not filed")
}

func TestBadArguments(t *testing.T) {
	a, _ := newAgent(t, 0)
	for args, want := range map[string]string{
		`{}`:                     "justification is missing",
		`{"host":"new.example"}`: "justification is missing",
		`{"host":"new.example","justification":7}`:                                   "justification is missing",
		`{"host":"new.example","justification":" "}`:                                 "justification is missing",
		`{"justification":"x"}`:                                                      "host",
		`{"Host":"new.example","justification":"x"}`:                                 "host is missing",
		`{"host":"https://new.example/","justification":"x"}`:                        "host",
		`{"host":"new.example","path_allowlist":[],"justification":"x"}`:             "path_allowlist",
		`{"host":"new.example","path_allowlist":["/../x"],"justification":"x"}`:      "/../x",
		`{"host":"new.example","auth":{"scheme":"Bearer"},"justification":"x"}`:      "token_ref",
		`{"host":"new.example","ports":[22],"justification":"x"}`:                    "ports",
		`{"host":"new.example","justification":"` + strings.Repeat("x", 5000) + `"}`: "justification of 5000 bytes",
	} {
		expect(t, a.blockTool(), args, true, want)
	}
	for args, want := range map[string]string{
		`{}`:                                    "id is missing",
		`{"id":"../x"}`:                         "no such proposal",
		`{"id":"0123456789ab-1"}`:               "no such proposal",
		`{"id":"0123456789ab-1","wait":1}`:      "wait",
		`{"id":"x","wait_seconds":-1}`:          "wait_seconds",
		`{"id":"x","wait_seconds":99999999999}`: "wait_seconds",
	} {
		expect(t, a.statusTool(), args, true, want)
	}
	expect(t, a.routesTool(), `{"x":1}`, true, "takes no arguments")
	expect(t, a.routesTool(), `{}`, true, "cannot be read")
	if rs, _, _ := a.queue.Pending(); len(rs) != 0 {
		t.Errorf("filed: %v", rs)
	}
}

func TestEndOfInputLeavesItPending(t *testing.T) {
	a, _ := newAgent(t, time.Hour)
	c := callWith(newHost)
	closing := make(chan struct{})
	close(closing)
	c.Closing = closing
	r, err := a.block(t.Context(), c)
	if err != nil || !strings.HasPrefix(r.Text, "pending: ") {
		t.Errorf("got %q, %v; want pending", r.Text, err)
	}
	onlyPending(t, a)
}

func TestCancelLeavesItPending(t *testing.T) {
	a, _ := newAgent(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	c := callWith(newHost)
	c.Progress = func(string) { cancel() }
	if r, err := a.block(ctx, c); err == nil {
		t.Errorf("got %q after the cancel", r.Text)
	}
	onlyPending(t, a)
}

func TestWaitByClient(t *testing.T) {
	for _, c := range []struct {
		client  string
		watched bool
		want    time.Duration
	}{
		{"claude-code", true, -1}, {"claude-code", false, 25 * time.Minute},
		{"codex-mcp-client", true, 4 * time.Minute}, {"", true, 45 * time.Second},
	} {
		a := &agent{wait: -1}
		if got := a.waitOf(mcp.Call{Client: c.client, Watched: c.watched}); got != c.want {
			t.Errorf("%s: got %v, want %v", c.client, got, c.want)
		}
		a.wait = time.Second
		if got := a.waitOf(mcp.Call{Client: c.client, Watched: c.watched}); got != time.Second {
			t.Errorf("%s with -wait 1s: got %v", c.client, got)
		}
	}
}

func TestListingIsBounded(t *testing.T) {
	var routes []route.Route
	for i := range 5000 {
		routes = append(routes, route.Route{Host: strings.Repeat("a", 1+i%60) + strings.Repeat(".b", 1+i/60) + ".example"})
	}
	tab, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	text := listing(tab)
	if len(text) > maxListing+200 || !strings.Contains(text, "more routes are left out") || !strings.HasPrefix(text, "5000 routes\n") {
		t.Errorf("%d bytes, ends %q", len(text), text[len(text)-100:])
	}
}

// TestFromProxy asks through a forward proxy, which gets the request for the
// magic host in absolute form.
func TestFromProxy(t *testing.T) {
	status := http.StatusOK
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != introspection {
			t.Errorf("asked for %s, want %s", r.URL, introspection)
		}
		w.WriteHeader(status)
		w.Write([]byte(`{"routes":[{"host":"a.example","path_allowlist":["/x"]}]}`))
	}))
	defer proxy.Close()
	live, err := newSource(proxy.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	tab, err := live(t.Context())
	if err != nil || len(tab.Routes) != 1 || tab.Routes[0].Host != "a.example" {
		t.Errorf("got %+v, %v", tab, err)
	}
	if got, want := listing(tab), "1 routes\n{\"host\":\"a.example\",\"path_allowlist\":[\"/x\"]}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	status = http.StatusForbidden
	if _, err := live(t.Context()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("got %v, want the status", err)
	}
	if _, err := newSource("ftp://x", ""); err == nil {
		t.Error("ftp is taken for a proxy")
	}
}

// TestFromFiles: the file counts only when the proxy has said that it serves it.
func TestFromFiles(t *testing.T) {
	dir, err := state.At(t.TempDir(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Make(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Routes(), []byte(testTable), 0o600); err != nil {
		t.Fatal(err)
	}
	live, err := newSource("", dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live(t.Context()); err == nil {
		t.Error("believed a table without the proxy's answer")
	}
	tab := table(t, testTable)
	if err := reload.Write(dir.Status(), reload.Status{Digest: tab.Digest()}); err != nil {
		t.Fatal(err)
	}
	if got, err := live(t.Context()); err != nil || got.Digest() != tab.Digest() {
		t.Errorf("got %v, want the table", err)
	}
	if err := reload.Write(dir.Status(), reload.Status{Digest: "other"}); err != nil {
		t.Fatal(err)
	}
	if _, err := live(t.Context()); err == nil {
		t.Error("believed a table that is not served")
	}
}

func TestPipelockBlock(t *testing.T) {
	a, tab := newAgent(t, 0)
	*tab = table(t, testTable)
	tool := a.pipelockTool()
	expect(t, tool, `{"host":"new.example","justification":"x"}`, true, "not filed: no route of egress-proxy allows new.example")
	expect(t, tool, `{"host":"bare.example","path_allowlist":["/"],"justification":"x"}`, true, "unknown argument path_allowlist")
	expect(t, tool, `{"host":"https://bare.example","justification":"x"}`, true, "has a scheme")
	expect(t, tool, `{"host":"bare.example"}`, true, "justification is missing")
	expect(t, tool, `{"host":"BARE.example.","justification":"blocked by allowlist"}`, false, "pending: bare.example")
	r := onlyPending(t, a)
	if host, err := r.Host(); err != nil || host != "bare.example" || r.Component != proposal.Pipelock {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := a.queue.Decide(t.Context(), r.ID, proposal.Decision{Verdict: proposal.Approved, Operator: "op"}); err != nil {
		t.Fatal(err)
	}
	expect(t, a.statusTool(), `{"id":"`+r.ID+`"}`, false, "approved: pipelock lets bare.example through; retry the request now")
}

func TestCapabilityBlock(t *testing.T) {
	a, _ := newAgent(t, 0)
	tool := a.capabilityTool()
	const more = `{"dockerfile":"FROM debian:12\nRUN apt-get install gcc\n","justification":"to compile"}`
	expect(t, tool, more, true, "not built from a Dockerfile")
	a.dockerfile = t.TempDir() + "/Dockerfile"
	if err := os.WriteFile(a.dockerfile, []byte("FROM debian:12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, tool, `{"dockerfile":"FROM debian:12\n","justification":"x"}`, false, "already so")
	expect(t, tool, `{"dockerfile":"RUN true","justification":"x"}`, true, "before FROM")
	expect(t, tool, `{"dockerfile":7,"justification":"x"}`, true, "wanted the arguments dockerfile")
	expect(t, tool, more, false, "pending: the image")
	r := onlyPending(t, a)
	if text, err := r.Dockerfile(); err != nil || text != "FROM debian:12\nRUN apt-get install gcc\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := a.queue.Decide(t.Context(), r.ID, proposal.Decision{Verdict: proposal.Approved, Operator: "op", Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	expect(t, tool, more, false, "already approved: the image is built; it is there when the bottle is started again")
	// Started from something else since: it may be asked for again.
	later := time.Now().Add(50 * time.Millisecond)
	if err := os.Chtimes(a.dockerfile, later, later); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if rs, _, _ := a.queue.Pending(); len(rs) == 1 {
			break
		}
		if _, err := tool.Call(t.Context(), callWith(more)); err != nil || time.Now().After(end) {
			t.Fatal("not filed again", err)
		}
	}
}
