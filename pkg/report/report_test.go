package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/proxy"
	"bottle/pkg/route"

	"golang.org/x/net/html"
)

var noon = time.Date(2026, 7, 28, 12, 0, 0, 0, time.UTC)

// hostile is what an agent may put into everything that it chooses.
var hostile = []string{
	`<script>document.title="owned"</script>`, `"><img src=x onerror=document.title='owned'>`, `' onmouseover='alert(1)`, `</title></svg></style><h1>x`,
	`javascript:alert(1)`, `{{.Bottle}}`, "\x1b[31m\u202egnp.exe", "a\x00b", strings.Repeat("long", 2000), `]]><!--`, `&lt;b&gt;`, "\xff\xfe",
}

// full is a report with some of everything.
func full(t testing.TB) *Report {
	t.Helper()
	var log bytes.Buffer
	lines := &proxy.Lines{W: &log}
	add := func(minute int, verdict, host, path, reason string, ms float64, status int) {
		a := proxy.Access{Time: noon.Add(time.Duration(minute) * time.Minute), ID: "x-1", Method: "GET", Scheme: "https", Host: host, Port: 443, Path: path,
			Verdict: verdict, Reason: reason, Status: status, Sent: int64(minute) * 700, Received: int64(ms) * 9000, Ms: ms, FirstMs: ms / 2, AgentProto: "HTTP/1.1"}
		if verdict == "block" {
			a.Code = route.HostNotAllowed
		}
		lines.Log(&a)
	}
	for i := range 600 {
		m := i * i / 3000
		add(m, "allow", []string{"api.github.com", "pypi.org", "files.pythonhosted.org", "registry.example.com"}[i%7%4], fmt.Sprintf("/simple/p%d", i%40), "", float64(20+i*i%900), 200)
		if i%9 == 0 {
			add(m, "block", []string{"telemetry.example.com", "gist.github.com"}[i%2], "/x", "host 'telemetry.example.com' is not in the bottle's egress_proxy.routes allowlist", 1, 403)
		}
		if i%71 == 0 {
			add(m, "error", "api.github.com", "/repos/me/app?page", "the upstream closed the connection before it answered", 900, 502)
		}
	}
	for i, bad := range hostile {
		add(100+i, "block", bad, "/"+bad, bad, 2, 403)
		add(100+i, "allow", "api.github.com", "/"+bad, "", 3000, 200)
		add(100+i, "error", bad, "/"+bad, bad, 2, 502)
	}
	lines.Flush()
	r := New("web", noon.Add(2*time.Hour))
	if n, err := r.Read(&log); err != nil || n.Bad > 0 {
		t.Fatalf("%+v %v", n, err)
	}
	decisions(t, r)
	table, err := route.Parse("t", []byte("routes: [{host: gist.github.com, expires: 2026-07-28T15:30:00Z}, {host: once.example, max_uses: 3}, {host: over.example, expires: 2026-07-28T13:00:00Z}]"))
	if err != nil {
		t.Fatal(err)
	}
	r.Grants(table, map[string]int64{"once.example": 1})
	return r
}

func decisions(t testing.TB, r *Report) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	record := func(host, why string) json.RawMessage {
		b, err := json.Marshal(map[string]any{"proposal": map[string]string{"host": host}, "justification": why})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	entries := []audit.Entry{
		{Time: noon.Add(5 * time.Minute), Operator: "me", Decision: "approved", Reason: "for the build", Record: record("pypi.org", "pip install needs it"), Before: "routes: []\n", After: "routes: [{host: pypi.org, path_allowlist: [/simple], methods: [GET]}]\n"},
		{Time: noon.Add(40 * time.Minute), Operator: "me", Decision: "rejected", Reason: "use the mirror", Record: record("telemetry.example.com", "to report a crash")},
		{Time: noon.Add(70 * time.Minute), Operator: "me", Decision: "applied", Before: "routes: [{host: pypi.org}]\n", After: "routes: []\n"},
	}
	for i, bad := range hostile {
		entries = append(entries, audit.Entry{Time: noon.Add(time.Duration(100+i) * time.Minute), Operator: "me", Decision: "rejected", Reason: "no: " + strings.ToValidUTF8(bad, "?"), Record: record(bad, bad)})
	}
	for _, e := range entries {
		e.Component = "egress-proxy"
		if err := audit.Append(file, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Decisions(file); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Nothing that an agent wrote becomes markup, whatever it wrote: the page has the
// elements and attributes of its template and no others, and nothing to fetch.
func TestPageIsSafe(t *testing.T) {
	text := write(t, full(t))
	elements := strings.Fields("html head meta title style body main h1 h2 p section div span b br table tbody tr th td code svg g rect path line text footer")
	attributes := strings.Fields("lang charset name content http-equiv class style role aria-label viewbox x y x1 y1 x2 y2 width height d transform preserveaspectratio")
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		tok := z.Token()
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		if !slices.Contains(elements, tok.Data) {
			t.Errorf("element %s", tok)
		}
		for _, a := range tok.Attr {
			if !slices.Contains(attributes, a.Key) || strings.Contains(a.Val, "url(") || strings.Contains(a.Val, "//") {
				t.Errorf("attribute %s=%q", a.Key, a.Val)
			}
		}
	}
	for _, r := range text {
		if r < ' ' && r != '\n' || r == '\u202e' {
			t.Fatalf("the page has %U", r)
		}
	}
	if strings.Contains(text, strings.Repeat("long", 100)) {
		t.Error("a long text is not cut")
	}
}

func TestPageTells(t *testing.T) {
	text := write(t, full(t))
	for _, want := range []string{
		"<title>bottle web</title>", "612", "telemetry.example.com", "use the mirror", "asked for: to report a crash", "the upstream closed the connection",
		"in 1h30m0s", "1 of 3", "2 uses left", ">ended<", `class="plus">&#43; pypi.org: paths /simple, methods GET`, `class="minus">- pypi.org`, "Slowest answers",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := write(t, New("empty", noon)); !strings.Contains(got, "Nothing was asked for") || strings.Contains(got, "<svg viewBox=\"0 0 960") {
		t.Error("an empty report")
	}
	late := full(t)
	late.Since = noon
	if n := len(late.events); n != 3+len(hostile) {
		t.Errorf("%d events", n)
	}
}

// However much an agent asks for, the report stays small.
func TestReportIsBounded(t *testing.T) {
	r := New("web", noon)
	var log strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&log, `{"time":%q,"verdict":"block","host":"h%d.example","reason":"r%d","path":"/"}`+"\n", noon.Add(time.Duration(i)*time.Hour).Format(time.RFC3339Nano), i, i)
	}
	if _, err := r.Read(strings.NewReader(log.String())); err != nil {
		t.Fatal(err)
	}
	if len(r.hosts) > maxHosts+1 || len(r.refused) > maxReasons+1 || r.total.Refused != 30_000 {
		t.Errorf("%d hosts, %d refusals, %d in all", len(r.hosts), len(r.refused), r.total.Refused)
	}
	if text := write(t, r); len(text) > 300_000 || len(r.chart().Bars) > chartBars {
		t.Errorf("a page of %d bytes, %d bars", len(text), len(r.chart().Bars))
	}
}
