package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestAppendChains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	for i := range 3 {
		e := Entry{Operator: "op", Component: "egress-proxy", Decision: "approved", Before: strings.Repeat("<route>\n", i*20_000)}
		if err := Append(path, e); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := Verify(path)
	if err != nil || sum.Lines != 3 || len(sum.Head) != 64 {
		t.Errorf("got %+v, %v; want three good lines", sum, err)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", fi.Mode().Perm(), err)
	}
}

func TestAppendAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := Append(path, Entry{Reason: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if sum, err := Verify(path); err != nil || sum.Lines != 20 {
		t.Errorf("got %+v, %v; want 20 good lines", sum, err)
	}
}

// TestVerifyNamesTheLine changes a log of three lines in the ways it can be
// tampered with or torn.
func TestVerifyNamesTheLine(t *testing.T) {
	cases := []struct {
		name   string
		change func(lines []string) string
		want   string
	}{
		{"changed", func(l []string) string { return l[0] + strings.Replace(l[1], `"one"`, `"two"`, 1) + l[2] }, ":3: prev is"},
		{"removed", func(l []string) string { return l[0] + l[2] }, ":2: prev is"},
		{"first removed", func(l []string) string { return l[1] + l[2] }, ":1: prev is"},
		{"swapped", func(l []string) string { return l[0] + l[2] + l[1] }, ":2: prev is"},
		{"torn", func(l []string) string { return l[0] + l[1] + l[2][:20] }, ":3: bad line: the end is missing"},
		{"rubbish", func(l []string) string { return l[0] + "hello\n" + l[2] }, ":2: not an entry: not valid JSON"},
		{"other key", func(l []string) string { return l[0] + strings.Replace(l[1], `"operator"`, `"Operator"`, 1) }, ":2: not an entry: unknown key"},
		{"empty line", func(l []string) string { return l[0] + "\n" + l[1] }, ":2: not an entry"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			for _, r := range []string{"zero", "one", "two"} {
				if err := Append(path, Entry{Reason: r}); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.change(strings.SplitAfter(string(data), "\n"))), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Verify(path)
			var bad *BadLine
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), path+c.want) {
				t.Errorf("got %v, want ...%s", err, c.want)
			}
		})
	}
}

func TestAppendClosesATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"time":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Append(path, Entry{Reason: "next"}); err != nil {
		t.Fatal(err)
	}
	_, err := Verify(path)
	var bad *BadLine
	if !errors.As(err, &bad) || bad.Line != 1 {
		t.Errorf("got %v, want line 1", err)
	}
	data, _ := os.ReadFile(path)
	lines := strings.Split(string(data), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], hash([]byte(lines[0]))) {
		t.Errorf("the second line does not follow from the first: %q", data)
	}
}

func TestAppendRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if err := Append(link, Entry{}); err == nil {
		t.Error("appended through a symbolic link")
	}
	if err := Append(dir, Entry{}); err == nil {
		t.Error("appended to a folder")
	}
}
