package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/proxy"
	"bottle/pkg/route"
)

// Explain, test and replay decide as the proxy does: each reads its own input, and
// all come to the answer of the table that the proxy asks.
func TestVerbsAgree(t *testing.T) {
	dir := t.TempDir()
	for seed := range int64(25) {
		rnd := rand.New(rand.NewSource(seed))
		pick := func(list ...string) string { return list[rnd.Intn(len(list))] }
		var routes []route.Route
		for _, host := range []string{"a.example", "*.a.example", "b.example"} {
			r := route.Route{Host: host}
			if rnd.Intn(2) == 0 {
				r.PathAllowlist = []string{pick("/", "/v1", "/v1/x")}
			}
			if rnd.Intn(2) == 0 {
				r.Methods = []string{pick("GET", "POST")}
			}
			if rnd.Intn(3) == 0 {
				r.Expires = time.Now().Add(time.Duration(rnd.Intn(3)-1) * time.Hour)
			}
			routes = append(routes, r)
		}
		table, err := route.New(routes)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "routes.yaml")
		if err := os.WriteFile(file, table.Encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		expectations := "table routes.yaml\n"
		var log bytes.Buffer
		lines := &proxy.Lines{W: &log}
		for range 20 {
			method := pick("GET", "POST", "PUT")
			url := pick("https", "http") + "://" + pick("a", "x.a", "b", "c") + ".example" + pick("", ":8443") + pick("/", "/v1", "/v1/x/y", "/v1/../x", "/v1//x")
			q, err := route.NewQuery(method, url, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			d := table.Match(q)
			expectations += fmt.Sprintf("%s %s %s\n", word(d.Allow), method, url)
			lines.Log(logged(q, d))
			code, out := run(t, explain, "-json", file, method, url)
			var e explanation
			if err := json.Unmarshal([]byte(out), &e); err != nil {
				t.Fatal(err)
			}
			if (e.Verdict == "allow") != d.Allow || (code == cli.Done) != d.Allow || e.Code != d.Code || !d.Allow && e.Reason != d.Reason {
				t.Fatalf("seed %d: explain says %s, the table %+v", seed, out, d)
			}
		}
		lines.Flush()
		for name, data := range map[string][]byte{"policy.txt": []byte(expectations), "access.jsonl": log.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if code, out := run(t, test, filepath.Join(dir, "policy.txt")); code != cli.Done {
			t.Fatalf("seed %d: test disagrees:\n%s", seed, out)
		}
		if code, out := run(t, replay, "-log", filepath.Join(dir, "access.jsonl"), file); code != cli.Done {
			t.Fatalf("seed %d: replay disagrees:\n%s", seed, out)
		}
	}
}

// logged is what the proxy would log.
func logged(q route.Query, d route.Decision) *proxy.Access {
	a := &proxy.Access{Time: q.Now, ID: "x-1", Method: q.Method, Scheme: q.Scheme, Host: q.Host, Port: q.Port, Path: q.Path, Verdict: "allow", Code: d.Code, Reason: d.Reason}
	if !d.Allow {
		a.Verdict = "block"
	}
	if d.Route != nil {
		a.Route = d.Route.Host
	}
	return a
}

// run is a verb in this process.
func run(t *testing.T, verb func(context.Context, *cli.Env) error, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Prog: "routesctl", Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	code = cli.Run(t.Context(), env, usage, cli.Verb{Run: verb})
	if code > cli.No {
		t.Fatalf("%v: exit %d\n%s", args, code, stderr.String())
	}
	return code, stdout.String()
}
