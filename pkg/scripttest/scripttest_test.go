package scripttest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	Main(m, map[string]func() int{"upper": upper, "fails": fails, "daemon": daemon, "inner": inner})
}

// upper writes its arguments, or its input, in capitals.
func upper() int {
	if len(os.Args) > 1 {
		fmt.Println(strings.ToUpper(strings.Join(os.Args[1:], "|")))
		return 0
	}
	data, _ := io.ReadAll(os.Stdin)
	os.Stdout.Write(bytes.ToUpper(data))
	return 0
}

func fails() int {
	fmt.Fprintln(os.Stderr, "fails: no")
	return 3
}

// daemon says "ready", "reload" at each HUP, and ends well at TERM.
func daemon() int {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGHUP, syscall.SIGTERM)
	fmt.Println("ready", os.Getpid())
	for sig := range c {
		if sig == syscall.SIGTERM {
			return 0
		}
		fmt.Println("reload")
	}
	return 1
}

// inner runs one script as TestInner in a process of its own, so that the
// scripts can show what a failing script says.
func inner() int {
	cmd := exec.Command("/proc/self/exe", append([]string{"-test.run=^TestInner$", "-test.v"}, os.Args[2:]...)...)
	cmd.Env = append(os.Environ(), "INNER="+os.Args[1])
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if cmd.Run() != nil {
		return 1
	}
	return 0
}

func TestInner(t *testing.T) {
	if glob := os.Getenv("INNER"); glob != "" {
		Run(t, glob)
	}
}

func TestScripts(t *testing.T) { Run(t, "testdata") }

func TestArchive(t *testing.T) {
	const text = "comment\n-- a --\n1\n-- not a marker\n-- dir/b  --\n-- c --\n2"
	a := parseArchive([]byte(text))
	want := &archive{[]byte("comment\n"), []file{{"a", []byte("1\n-- not a marker\n")}, {"dir/b", []byte{}}, {"c", []byte("2\n")}}}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got %q, want %q", a, want)
	}
	if again := parseArchive(a.encode()); !reflect.DeepEqual(again, want) {
		t.Errorf("encoded and parsed again: got %q, want %q", again, want)
	}
}

func FuzzArchive(f *testing.F) {
	f.Add([]byte("x\n-- a --\ny"))
	f.Add([]byte("-- -- --\n--  --\n-- a --\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		once := parseArchive(data).encode()
		if twice := parseArchive(once).encode(); !bytes.Equal(once, twice) {
			t.Errorf("%q encodes as %q, then as %q", data, once, twice)
		}
	})
}

func TestSplit(t *testing.T) {
	getenv := func(name string) string { return map[string]string{"A": "x y", "B_1": "b"}[name] }
	cases := map[string][]string{
		"":                        nil,
		"  # all comment":         nil,
		"a b\tc # d":              {"a", "b", "c"},
		"a#b":                     {"a#b"},
		"'a b' '' 'it''s'":        {"a b", "", "it's"},
		"p're 'x":                 {"pre x"},
		"$A ${B_1}z $NONE '$A'":   {"x y", "bz", "", "$A"},
		"^a$ $1.x ${ $":           {"^a$", ".x", "${", "$"},
		"stdout '^[a-z]+ # not$'": {"stdout", "^[a-z]+ # not$"},
	}
	for line, want := range cases {
		if got, err := split(line, getenv); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, %v; want %q", line, got, err, want)
		}
	}
	if got, err := split("a 'b", getenv); err == nil {
		t.Errorf("open quote: got %q", got)
	}
}

// TestFailures checks that a line that does not hold fails its script.
func TestFailures(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "lines-that-fail"))
	if err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		line, want, _ := strings.Cut(sc.Text(), " => ")
		s := newScript(t, "lines", parseArchive([]byte("-- f --\nsome text\n")))
		err := s.run("upper some text")
		if err == nil {
			err = s.run(line)
		}
		s.close()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error with %q", line, err, want)
		}
	}
}
