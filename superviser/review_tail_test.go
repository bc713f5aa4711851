package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccessLog follows a log through all that a log goes through.
func TestAccessLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.jsonl")
	l := accessLog{path: path}
	line := func(host, verdict string) string { return fmt.Sprintf("{\"host\":%q,\"verdict\":%q}\n", host, verdict) }
	add := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	want := func(hosts ...string) {
		t.Helper()
		var got []string
		for _, r := range l.more() {
			got = append(got, r.Host)
		}
		if strings.Join(got, " ") != strings.Join(hosts, " ") {
			t.Errorf("refused %.200q; want %q", got, hosts)
		}
	}
	want() // no log yet
	add(line("a", "block") + line("b", "allow") + "no JSON\n" + line("c", "block"))
	want("a", "c")
	want()
	whole := line("d", "block")
	add(whole[:7])
	want() // half a line
	add(whole[7:])
	want("d")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	want() // between the two
	add(line("e", "block"))
	want("e") // the new one
	add(strings.Repeat(line("flood", "allow"), 2*logBack/len(line("flood", "allow"))) + line("f", "block"))
	want("f") // what nobody reads is passed over
	add(strings.Repeat("x", 3*logLine))
	want()
	add("\n" + line("g", "block"))
	want("g")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	want()
}
