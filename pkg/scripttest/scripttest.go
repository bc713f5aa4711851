// Package scripttest runs script tests: text files that hold a script and the
// files it works on, and that run the programs as a person would.
//
// A script is the comment of a txtar archive; the archive's files are laid out
// in a folder of the script's own, $WORK, where it starts. HOME, TMPDIR and
// BOTTLE_DIR are below it. Each line is a command; # starts a comment; words
// are separated by blanks, '…' keeps blanks and dollars (two quotes inside are
// one), and $NAME or ${NAME} outside quotes is the variable's value.
//
//	[COND] LINE              run LINE if COND holds: root, linux, exec:PROG, or !COND
//	PROG ARG...              run a program of PATH; it must exit 0
//	! PROG ARG...            run it; it must exit with another code
//	PROG ARG... &NAME        run it in the background (NAME: the program's when
//	                         left out); its process id is in $NAME_pid, its
//	                         output in the files NAME.stdout and NAME.stderr
//	exec PROG ARG...         the same for programs named like a command below
//	[!] wait [NAME]          wait for NAME, or all; its output and status become
//	                         those of the last program
//	kill SIGNAL NAME         send HUP, INT, TERM, KILL, USR1 or STOP, CONT
//	stdin FILE               input of the next program; stdout is the last output
//	[!] stdout|stderr RE     the last program's output matches (lines: (?m))
//	status N                 the last program exited with N (128+signal if killed)
//	cmp A B                  equal; A may be stdout or stderr
//	[!] grep RE FILE         a file matches
//	[!] exists FILE...       all exist
//	waitfor FILE [RE]        wait, at most 10 s, until FILE exists (and matches)
//	cp SRC... DST            SRC may be stdout or stderr; DST a file or a folder
//	mkdir, rm PATH...        with parents; with what is inside
//	chmod MODE PATH...       octal
//	env NAME=VALUE...        set variables
//	cd DIR                   change folder
//	skip REASON              skip the script
//
// With -update a cmp that fails rewrites B in the archive instead.
package scripttest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Main is the TestMain of a package whose scripts run the given programs: it
// puts a folder first on PATH where each name is a link to the test binary, and
// a process started under such a name runs that function and exits with what it
// returns. Any other process runs the tests. Main does not return.
func Main(m *testing.M, programs map[string]func() int) {
	if run, ok := programs[filepath.Base(os.Args[0])]; ok {
		os.Exit(run())
	}
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "rewrite the files of script tests")
	}
	dir, err := link(programs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "scripttest:", err)
		os.Exit(1)
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// link makes a folder with one symlink to this binary for each program.
func link(programs map[string]func() int) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "programs")
	if err != nil {
		return "", err
	}
	for name := range programs {
		if err := os.Symlink(exe, filepath.Join(dir, name)); err != nil {
			os.RemoveAll(dir)
			return "", err
		}
	}
	return dir, nil
}

// Run runs every script that glob names, each as a parallel subtest; a glob
// that is a folder means its *.txtar. No script at all is a failure.
func Run(t *testing.T, glob string) {
	t.Helper()
	if fi, err := os.Stat(glob); err == nil && fi.IsDir() {
		glob = filepath.Join(glob, "*.txtar")
	}
	names, err := filepath.Glob(glob)
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts match %s (%v)", glob, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runFile(t, name)
		})
	}
}

func runFile(t *testing.T, name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t, name, parseArchive(data))
	defer s.close()
	for i, line := range strings.Split(string(s.archive.comment), "\n") {
		s.line = i + 1
		if err := s.run(line); err != nil {
			t.Fatalf("%s:%d: %s: %v\n%s", name, s.line, strings.TrimSpace(line), err, s.output())
		}
		if s.skipped != "" {
			t.Skip(s.skipped)
		}
	}
	if f := flag.Lookup("update"); s.dirty && f != nil {
		if err := os.WriteFile(name, s.archive.encode(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
