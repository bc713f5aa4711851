package scripttest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A script is one run of one file.
type script struct {
	t       *testing.T
	archive *archive
	work    string // its folder
	dir     string // the current one
	env     []string
	line    int
	update  bool
	dirty   bool   // the archive was rewritten
	skipped string // why

	stdin          []byte // of the next program
	stdout, stderr []byte // of the last program
	status         int
	background     []*process
}

// newScript lays out the archive's files. The folder is not t.TempDir's: the
// path of a Unix socket below it must stay under 108 bytes (unix(7)).
func newScript(t *testing.T, name string, a *archive) *script {
	work, err := os.MkdirTemp("", "script")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, archive: a, work: work, dir: work}
	if f := flag.Lookup("update"); f != nil {
		s.update = f.Value.String() == "true"
	}
	// Nothing of the outer environment but PATH and where coverage goes: a proxy
	// variable of the host must not change a test. The race detector would
	// otherwise sleep for a second at the end of each program.
	s.env = []string{"PATH=" + os.Getenv("PATH"), "WORK=" + work, "HOME=" + s.path("home"), "TMPDIR=" + s.path("tmp"),
		"BOTTLE_DIR=" + s.path("bottle"), "LC_ALL=C", "TZ=UTC", "GORACE=atexit_sleep_ms=0", "GOCOVERDIR=" + os.Getenv("GOCOVERDIR")}
	err = errors.Join(os.Mkdir(s.path("home"), 0o700), os.Mkdir(s.path("tmp"), 0o700))
	for _, f := range a.files {
		path := s.path(f.name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, f.data, 0o644))
	}
	if err != nil {
		s.close()
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// close ends what still runs and removes the folder.
func (s *script) close() {
	for _, p := range s.background {
		p.end()
	}
	os.RemoveAll(s.work)
}

// path is name below the current folder, or as it is when absolute.
func (s *script) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

// run carries out one line.
func (s *script) run(line string) error {
	words, err := split(line, s.getenv)
	if err != nil {
		return err
	}
	for len(words) > 0 && strings.HasPrefix(words[0], "[") && strings.HasSuffix(words[0], "]") {
		ok, err := s.holds(strings.Trim(words[0], "[]"))
		if err != nil || !ok {
			return err
		}
		words = words[1:]
	}
	not := len(words) > 0 && words[0] == "!"
	if not {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	cmd, ok := commands[words[0]]
	if !ok {
		return s.program(not, words)
	}
	if not && !slices.Contains(negatable, words[0]) {
		return errors.New("this command takes no !")
	}
	if err := cmd(s, not, words[1:]); !errors.Is(err, errUsage) {
		return err
	}
	return fmt.Errorf("%w of %s", errUsage, words[0])
}

func (s *script) holds(cond string) (bool, error) {
	if rest, ok := strings.CutPrefix(cond, "!"); ok {
		v, err := s.holds(rest)
		return !v, err
	}
	if prog, ok := strings.CutPrefix(cond, "exec:"); ok {
		_, err := s.lookPath(prog)
		return err == nil, nil
	}
	switch cond {
	case "root":
		return os.Geteuid() == 0, nil
	case "linux", "darwin":
		return runtime.GOOS == cond, nil
	}
	return false, fmt.Errorf("unknown condition %q; wanted root, linux, darwin or exec:PROG", cond)
}

func (s *script) getenv(name string) string {
	for _, kv := range slices.Backward(s.env) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// lookPath is exec.LookPath with the script's own PATH and folder.
func (s *script) lookPath(prog string) (string, error) {
	if strings.Contains(prog, "/") {
		return s.path(prog), nil
	}
	for _, dir := range filepath.SplitList(s.getenv("PATH")) {
		if p, err := exec.LookPath(filepath.Join(s.path(dir), prog)); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("neither a command nor a program of PATH")
}

// output is what the last program said, for the report of a failure.
func (s *script) output() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "last status %d\n[stdout]\n%s[stderr]\n%s", s.status, withNewline(s.stdout), withNewline(s.stderr))
	for _, p := range s.background {
		out, errs := p.output()
		fmt.Fprintf(&b, "[%s.stdout]\n%s[%s.stderr]\n%s", p.name, withNewline(out), p.name, withNewline(errs))
	}
	return b.String()
}
