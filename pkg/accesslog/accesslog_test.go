package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"bottle/pkg/proxy"
	"bottle/pkg/route"
)

const usual = `{"time":"2026-07-28T12:00:00.123Z","bottle":"web","id":"ab-1","method":"GET","scheme":"https","host":"a.example","port":443,"path":"/x?q","route":"a.example","verdict":"allow","status":200,"sent":0,"received":12,"ms":3.5,"first_ms":1,"agent_proto":"HTTP/1.1","upstream_proto":"HTTP/1.1"}`

func TestRead(t *testing.T) {
	long := `{"verdict":"allow","path":"` + strings.Repeat("x", maxLine) + `"}`
	log := strings.Join([]string{usual, "no JSON", `{"verdict":"allow"}`, long, `{"time":"2026-07-28T12:00:01Z","verdict":"block","host":"\u001b[31m","path":"/"}`, ``, `{"time":"t`}, "\n")
	var lines []Line
	n, err := Read(strings.NewReader(log), func(l *Line) error { lines = append(lines, *l); return nil })
	if err != nil || n != (Count{7, 5}) || len(lines) != 2 {
		t.Fatalf("%+v, %v, %d lines", n, err, len(lines))
	}
	want := Line{Time: "2026-07-28T12:00:00.123Z", Method: "GET", Scheme: "https", Host: "a.example", Port: 443, Path: "/x?q",
		Route: "a.example", Verdict: "allow", Status: 200, Received: 12, Ms: 3.5, FirstMs: 1}
	if lines[0] != want || lines[1].Host != "\x1b[31m" {
		t.Errorf("%+v", lines)
	}
	if at, err := lines[0].When(); err != nil || !at.Equal(time.Date(2026, 7, 28, 12, 0, 0, 123e6, time.UTC)) {
		t.Errorf("%v %v", at, err)
	}
	stop := errors.New("stop")
	if n, err := Read(strings.NewReader(log), func(*Line) error { return stop }); err != stop || n.Lines != 1 {
		t.Errorf("%+v %v", n, err)
	}
}

// What the proxy writes is read without the detour.
func TestReadsTheProxysOwn(t *testing.T) {
	var out bytes.Buffer
	log := &proxy.Lines{W: &out}
	log.Log(&proxy.Access{Time: time.Unix(1, 5).UTC(), Bottle: "web", ID: "x-1", Method: "GET", Scheme: "https", Host: "a.example", Port: 8443,
		Path: "/x?a&b", Route: "*.example", Verdict: "error", Code: "upstream-failed", Reason: "no (such) route", Status: 502, Sent: 1, Received: 2,
		Ms: 0.25, FirstMs: 12, AgentProto: "HTTP/2.0", UpstreamProto: "HTTP/1.1", Error: "cut"})
	log.Flush()
	text := bytes.TrimSpace(out.Bytes())
	var plain, full Line
	s := scanner{words: map[string]string{}}
	if !s.plain(text, &plain) {
		t.Errorf("not plain: %s", text)
	}
	if err := json.Unmarshal(text, &full); err != nil || full != plain || full.Ms != 0.25 {
		t.Errorf("%+v\n%+v %v", plain, full, err)
	}
}

// FuzzLine: what the quick way accepts encoding/json reads alike.
func FuzzLine(f *testing.F) {
	f.Add([]byte(usual))
	f.Add([]byte(`{"time":"x","TIME":"y","verdict":"allow"}`))
	f.Add([]byte(`{"time":"x","verdict":"allow","ms":01,"port":-1,"sent":1e3}`))
	f.Add([]byte(`{"time":"x","verdict":"allow",}`))
	f.Add([]byte(`{"time":"x","verdict":"a\u006cow","ms":1.5e3}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var plain, full Line
		s := scanner{words: map[string]string{}}
		if !s.plain(text, &plain) {
			return
		}
		if err := json.Unmarshal(text, &full); err != nil || full != plain {
			t.Fatalf("%s\n%+v\n%+v %v", text, plain, full, err)
		}
	})
}

func TestAsked(t *testing.T) {
	now := time.Unix(5, 0)
	q := func(method, path string) route.Query {
		return route.Query{Scheme: "https", Host: "a.example", Port: 443, Method: method, Path: path, Now: now}
	}
	long := "/" + strings.Repeat("a", 97) + "/" + strings.Repeat("b", 101)
	cases := []struct {
		l    Line
		want Asked
		ok   bool
	}{
		{Line{Verdict: "allow", Method: "GET", Path: "/x?k"}, Asked{Query: q("GET", "/x"), Allowed: true}, true},
		{Line{Verdict: "error", Method: "GET", Path: "/x"}, Asked{Query: q("GET", "/x"), Allowed: true}, true},
		{Line{Verdict: "block", Code: route.PathNotAllowed, Method: "PUT", Path: "/y"}, Asked{Query: q("PUT", "/y")}, true},
		{Line{Verdict: "block", Code: "internal-address", Route: "a.example", Method: "PUT", Path: "/y"}, Asked{Query: q("PUT", "/y"), Allowed: true}, true},
		{Line{Verdict: "allow", Method: "CONNECT"}, Asked{Query: q("GET", "/"), Allowed: true}, true},
		{Line{Verdict: "allow", Method: "GET", Path: long[:200] + "..."}, Asked{Query: q("GET", long[:98]), Allowed: true, Cut: true}, true},
		{Line{Verdict: "block", Code: "bad-request", Method: "GET", Path: "/"}, Asked{}, false},
		{Line{Verdict: "introspect", Method: "GET", Path: "/"}, Asked{}, false},
		{Line{Verdict: "allow", Method: "GET", Path: `/\xff`}, Asked{}, false},
	}
	for _, c := range cases {
		c.l.Scheme, c.l.Host, c.l.Port = "https", "a.example", 443
		got, ok := c.l.Asked(now)
		if ok != c.ok || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v:\n got %+v, %v\nwant %+v, %v", c.l, got, ok, c.want, c.ok)
		}
	}
	for _, host := range []string{"", "A.example", "a.example.", "\x1b[2J", "a b"} {
		l := Line{Verdict: "allow", Scheme: "https", Host: host, Port: 443, Method: "GET", Path: "/"}
		if _, ok := l.Asked(now); ok {
			t.Errorf("host %q passes", host)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	log := bytes.Repeat([]byte(usual+"\n"), 1000)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if _, err := Read(bytes.NewReader(log), func(*Line) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// TestFile: a full file is begun anew at a whole line, with one predecessor.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.jsonl")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxFile); err != nil { // sparse
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"{1", "}\n", "{2}\n"} {
		if _, err := f.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.Stat(path + ".1")
	if err != nil || old.Size() != maxFile {
		t.Errorf("the predecessor: %v, %v; wanted %d bytes", old, err, maxFile)
	}
	if got, _ := os.ReadFile(path); string(got) != "{1}\n{2}\n" {
		t.Errorf("got %q", got)
	}
	// Within a line it goes on, however full.
	f.size = maxFile
	f.torn = true
	if _, err := f.Write([]byte("x\n")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "{1}\n{2}\nx\n" {
		t.Errorf("within a line: got %q", got)
	}
}
