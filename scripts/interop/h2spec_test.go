package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// TestH2spec: the proxy's side towards the agent has no failure in h2spec that
// a plain HTTP/2 server of net/http on the same machine has not.
func TestH2spec(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok\n")
	})
	o := serveOrigin(t, ok, "h2", "http/1.1")
	// h2spec's :authority is the address that it dials, which is the forwarder's;
	// the mapper leads that name to the origin.
	p := startProxy(t, o.signer, "routes: []\n", "-upstream", "http://"+serveMapper(t, fmt.Sprintf("127.0.0.1:%d", o.port)))
	port := serveForwarder(t, p)
	p.write(t, "routes.yaml", fmt.Appendf(nil, "routes: [{host: 127.0.0.1, ports: [%d]}]\n", port))
	p.reload(t)
	type result struct {
		failed []string
		cases  int
	}
	run := func(port int, only []string, to chan result) {
		failed, cases := h2spec(t, port, only)
		to <- result{failed, cases}
	}
	plain, proxied := make(chan result, 1), make(chan result, 1)
	go run(o.port, nil, plain)
	go run(port, nil, proxied)
	want, got := <-plain, <-proxied
	t.Logf("of %d cases fail: plain net/http %d %q; the proxy %d %q", got.cases, len(want.failed), want.failed, len(got.failed), got.failed)
	if want.cases < 100 || got.cases != want.cases {
		t.Fatalf("h2spec ran %d cases against net/http and %d against the proxy", want.cases, got.cases)
	}
	more := slices.DeleteFunc(got.failed, func(s string) bool { return slices.Contains(want.failed, s) })
	if len(more) > 0 { // its cases have time limits, and the machine other work
		run(port, more, proxied)
		more = (<-proxied).failed
	}
	for _, s := range more {
		t.Errorf("the proxy fails %s", s)
	}
}

// serveForwarder listens for a client that knows no proxies: each connection is
// a tunnel to the forwarder's own address.
func serveForwarder(t *testing.T, p *proxy) (port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				up, err := p.connect(t.Context(), ln.Addr().String())
				if err != nil {
					c.Close()
					return
				}
				join(c, up, c)
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

// A verdict is one case of h2spec, as its process prints it.
type verdict struct {
	ID, Text string
	Failed   bool
}

// h2spec runs the cases of only, or all, against a port of loopback, and returns
// those that failed and how many ran. It is a process of its own, since h2spec
// exits where it cannot connect.
func h2spec(t *testing.T, port int, only []string) (failed []string, cases int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Error(err)
		return nil, 0
	}
	defer r.Close()
	list, _ := json.Marshal(only)
	cmd := role(t, "h2spec", "H2SPEC_PORT="+strconv.Itoa(port), "H2SPEC_ONLY="+string(list))
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Error(err)
	}
	w.Close()
	for d := json.NewDecoder(r); ; cases++ {
		var v verdict
		if d.Decode(&v) != nil {
			break
		}
		if v.Failed {
			failed = append(failed, v.ID)
			if only != nil {
				t.Logf("%s: %s", v.ID, v.Text)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("h2spec of port %d: %v", port, err)
	}
	return failed, cases
}

// h2specMain is h2spec with its verdicts on descriptor 3.
func h2specMain() int {
	c := &config.Config{Host: "127.0.0.1", Path: "/", Timeout: 2 * time.Second, MaxHeaderLen: 4000,
		TLS: true, Insecure: true, Strict: true}
	var err error
	if c.Port, err = strconv.Atoi(os.Getenv("H2SPEC_PORT")); err == nil {
		err = json.Unmarshal([]byte(os.Getenv("H2SPEC_ONLY")), &c.Sections)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	out := json.NewEncoder(os.NewFile(3, "verdicts"))
	for _, g := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		g.Test(c)
		tell(g, out)
	}
	return 0
}

func tell(g *spec.TestGroup, out *json.Encoder) {
	for i, tc := range slices.Concat(g.Tests, g.StrictTests) {
		if tc.Result != nil && !tc.Result.Skipped {
			out.Encode(verdict{fmt.Sprintf("%s/%d", g.ID(), i+1), fmt.Sprintf("%s: %v", tc.Desc, tc.Result.Error), tc.Result.Failed})
		}
	}
	for _, sub := range g.Groups {
		tell(sub, out)
	}
}
