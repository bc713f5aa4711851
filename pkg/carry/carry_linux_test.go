package carry

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A trip is a workspace that was taken along, and the tar stream that comes back.
type trip struct {
	t      *testing.T
	dir    string
	folder *Folder
	snap   Snapshot
	out    []byte // what Pack wrote
	b      bytes.Buffer
	w      *tar.Writer
	held   string
}

func newTrip(t *testing.T, files map[string]string) *trip {
	t.Helper()
	tr := &trip{t: t, dir: t.TempDir(), held: filepath.Join(t.TempDir(), "held")}
	for name, text := range files {
		tr.host(name, text)
	}
	var err error
	if tr.folder, err = OpenFolder(tr.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.folder.Close)
	var b bytes.Buffer
	if tr.snap, err = tr.folder.Pack(&b, "w", 1000, 1000); err != nil {
		t.Fatal(err)
	}
	tr.out = b.Bytes()
	tr.w = tar.NewWriter(&tr.b)
	tr.entry(tar.Header{Typeflag: tar.TypeDir, Name: "w/", Mode: 0o755}, "")
	return tr
}

// host writes a file, or with text "->X" a link, on the host.
func (tr *trip) host(name, text string) {
	tr.t.Helper()
	path := filepath.Join(tr.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if to, ok := strings.CutPrefix(text, "->"); ok && err == nil {
		err = os.Symlink(to, path)
	} else if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *trip) entry(h tar.Header, text string) {
	tr.t.Helper()
	h.Size = int64(len(text))
	if err := tr.w.WriteHeader(&h); err != nil {
		tr.t.Fatal(err)
	}
	if _, err := tr.w.Write([]byte(text)); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *trip) dirs(names ...string) {
	for _, n := range names {
		tr.entry(tar.Header{Typeflag: tar.TypeDir, Name: "w/" + n + "/", Mode: 0o755}, "")
	}
}

func (tr *trip) file(name, text string) {
	tr.entry(tar.Header{Typeflag: tar.TypeReg, Name: "w/" + name, Mode: 0o644, ModTime: time.Unix(1e9, 0)}, text)
}

func (tr *trip) link(name, to string) {
	tr.entry(tar.Header{Typeflag: tar.TypeSymlink, Name: "w/" + name, Linkname: to, Mode: 0o777}, "")
}

func (tr *trip) unpack() (*Return, error) {
	tr.w.Close()
	return Unpack(bytes.NewReader(tr.b.Bytes()), "w", tr.snap, tr.t.TempDir(), 1<<20)
}

func (tr *trip) back(protected ...string) *Report {
	tr.t.Helper()
	ret, err := tr.unpack()
	if err != nil {
		tr.t.Fatal(err)
	}
	report, err := tr.folder.Apply(ret, tr.snap, protected, tr.held)
	if err != nil {
		tr.t.Fatal(err)
	}
	return report
}

// want checks a file of the host; "" is that there is none.
func (tr *trip) want(name, text string) {
	tr.t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.dir, name))
	if text == "" && !os.IsNotExist(err) {
		tr.t.Errorf("%s is there: %q, %v", name, data, err)
	}
	if text != "" && string(data) != text {
		tr.t.Errorf("%s: %q, %v; wanted %q", name, data, err, text)
	}
}

func (r *Report) paths() (list []string) {
	for _, h := range r.Held {
		list = append(list, h.Path+": "+h.Why)
	}
	return list
}

// TestThereAndBack: what Pack writes comes back as no change.
func TestThereAndBack(t *testing.T) {
	tr := newTrip(t, map[string]string{"a": "1", "d/b": "2", "d/e/l": "->../b", "out": "->/etc/passwd", "empty": ""})
	if err := os.Chmod(filepath.Join(tr.dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	snap, err := tr.folder.Pack(&b, "w", 1000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	ret, err := Unpack(&b, "w", snap, t.TempDir(), 1<<20)
	if err != nil || len(ret.Changes) != 0 {
		t.Errorf("changes: %+v, %v", ret, err)
	}
	if snap.Files() != 5 || snap.Bytes() != 2 {
		t.Errorf("%d files, %d bytes", snap.Files(), snap.Bytes())
	}
}

// TestMaskedStays: what was masked is empty on the way, and stays what it is on the
// host whatever comes back.
func TestMaskedStays(t *testing.T) {
	const secret = "a-secret"
	masked := []string{"app/.env", "private"}
	for name, back := range map[string]func(tr *trip){
		"as it went":   func(tr *trip) { tr.dirs("app", "private"); tr.file("app/.env", "") },
		"removed":      func(*trip) {},
		"written":      func(tr *trip) { tr.dirs("app", "private"); tr.file("app/.env", "x"); tr.file("private/k", "x") },
		"a link":       func(tr *trip) { tr.dirs("app"); tr.link("app/.env", "/etc/passwd"); tr.link("private", "/etc") },
		"folder moved": func(tr *trip) { tr.dirs("other"); tr.file("other/.env", ""); tr.file("app", "no folder") },
	} {
		tr := newTrip(t, map[string]string{"app/.env": secret, "private/k": secret, "plain": "p"})
		var b bytes.Buffer
		var err error
		if tr.snap, err = tr.folder.Pack(&b, "w", 1000, 1000, masked...); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), secret) || !strings.Contains(b.String(), "w/app/.env") {
			t.Errorf("%s: what was taken along: %q", name, b.String())
		}
		tr.file("plain", "p")
		back(tr)
		r := tr.back(masked...)
		tr.want("app/.env", secret)
		tr.want("private/k", secret)
		if (len(r.Held) == 0) != (name == "as it went") {
			t.Errorf("%s: held %v", name, r.paths())
		}
	}
}

// TestChanges: new, changed, removed, of another type.
func TestChanges(t *testing.T) {
	tr := newTrip(t, map[string]string{"same": "s", "changed": "old", "gone": "g", "dir/x": "x", "todir": "f", "mode": "m", "l": "->same"})
	tr.file("same", "s")
	tr.file("changed", "new!")
	tr.file("dir", "a file now")
	tr.dirs("todir", "fresh", "fresh/deep")
	tr.file("todir/in", "in")
	tr.file("fresh/deep/f", "f")
	tr.entry(tar.Header{Typeflag: tar.TypeReg, Name: "w/mode", Mode: 0o4755}, "m")
	tr.link("l", "changed")
	tr.entry(tar.Header{Typeflag: tar.TypeLink, Name: "w/hard", Linkname: "w/same"}, "")
	tr.entry(tar.Header{Typeflag: tar.TypeFifo, Name: "w/pipe"}, "")
	if r := tr.back(); len(r.Held) != 0 {
		t.Errorf("held: %v", r.paths())
	}
	for name, text := range map[string]string{"same": "s", "changed": "new!", "gone": "", "dir": "a file now", "todir/in": "in", "fresh/deep/f": "f", "mode": "m", "l": "new!", "hard": "s", "pipe": ""} {
		tr.want(name, text)
	}
	if fi, err := os.Stat(filepath.Join(tr.dir, "mode")); err != nil || fi.Mode() != 0o755 {
		t.Errorf("mode: %v, %v; wanted 0755 without set-user-ID", fi.Mode(), err)
	}
	if fi, err := os.Stat(filepath.Join(tr.dir, "changed")); err != nil || !fi.ModTime().Equal(time.Unix(1e9, 0)) {
		t.Errorf("time: %v, %v", fi.ModTime(), err)
	}
}

// TestProtected: what the host would run is held back and kept, in every way an
// agent could bring it there.
func TestProtected(t *testing.T) {
	files := map[string]string{".git/config": "c", ".git/hooks/pre-commit": "h", ".git/HEAD": "ref"}
	protected := []string{".git/hooks", ".git/config", ".envrc"}
	tr := newTrip(t, files)
	tr.dirs(".git", ".git/hooks")
	tr.file(".git/HEAD", "ref2")
	tr.file(".git/hooks/post-checkout", "evil")
	tr.file(".git/Config", "evil")
	tr.file(".envrc", "evil")
	got := tr.back(protected...).paths()
	want := []string{".git/hooks/pre-commit: protected", ".git/config: protected", ".git/hooks/post-checkout: protected", ".git/Config: protected", ".envrc: protected"}
	if !slices.Equal(got, want) {
		t.Errorf("held: %q; wanted %q", got, want)
	}
	tr.want(".git/HEAD", "ref2")
	tr.want(".git/config", "c")
	tr.want(".git/hooks/pre-commit", "h")
	tr.want(".git/hooks/post-checkout", "")
	if data, err := os.ReadFile(filepath.Join(tr.held, ".git/hooks/post-checkout")); string(data) != "evil" {
		t.Errorf("kept: %q, %v", data, err)
	}
	for name, agent := range map[string]func(tr *trip){
		"a link in place of the folder above": func(tr *trip) { tr.dirs("x", "x/hooks"); tr.file("x/hooks/h", "evil"); tr.link(".git", "x") },
		"a file in place of the folder above": func(tr *trip) { tr.file(".git", "gitdir: x") },
		"all of it removed":                   func(tr *trip) {},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrip(t, files)
			agent(tr)
			r := tr.back(protected...)
			tr.want(".git/config", "c")
			tr.want(".git/hooks/pre-commit", "h")
			if len(r.Held) < 3 {
				t.Errorf("held: %q", r.paths())
			}
		})
	}
}

// TestNoLinkFollowed: neither a link on the host nor one of the agent's leads a
// write elsewhere.
func TestNoLinkFollowed(t *testing.T) {
	outside := t.TempDir()
	tr := newTrip(t, map[string]string{"link": "->" + outside, "file": "->" + outside + "/target", "was": "dir"})
	if err := os.WriteFile(filepath.Join(outside, "target"), []byte("host"), 0o600); err != nil {
		t.Fatal(err)
	}
	tr.dirs("link") // a real folder in the container
	tr.file("link/f", "mine")
	tr.file("file", "mine")
	tr.dirs("later")
	tr.file("later/f", "mine")
	if err := os.Symlink(outside, filepath.Join(tr.dir, "later")); err != nil { // the host, meanwhile
		t.Fatal(err)
	}
	got := tr.back().paths()
	if want := []string{"later: " + errChanged.why, "later/f: " + errParent.why}; !slices.Equal(got, want) {
		t.Errorf("held: %q; wanted %q", got, want)
	}
	tr.want("link/f", "mine")
	tr.want("file", "mine")
	list, err := os.ReadDir(outside)
	if data, _ := os.ReadFile(filepath.Join(outside, "target")); len(list) != 1 || string(data) != "host" {
		t.Errorf("outside: %v, %v, %q", list, err, data)
	}
}

// TestMeanwhile: what the host has changed stays, and the agent's is kept beside.
func TestMeanwhile(t *testing.T) {
	tr := newTrip(t, map[string]string{"both": "old", "gone": "old", "alike": "old", "d/x": "x"})
	tr.host("both", "host's own")
	tr.host("gone", "host's own")
	tr.host("alike", "the same")
	tr.host("new", "host's own")
	tr.host("d/more", "host's own")
	tr.file("both", "agent's")
	tr.file("alike", "the same")
	tr.file("new", "agent's")
	got := tr.back().paths()
	slices.Sort(got)
	want := []string{"both: " + errChanged.why, "d: " + errNotEmpty.why, "gone: " + errChanged.why, "new: " + errChanged.why}
	if !slices.Equal(got, want) {
		t.Errorf("held: %q; wanted %q", got, want)
	}
	for _, name := range []string{"both", "gone", "new", "d/more"} {
		tr.want(name, "host's own")
	}
	for _, name := range []string{"both", "new"} {
		if data, err := os.ReadFile(filepath.Join(tr.held, name)); string(data) != "agent's" {
			t.Errorf("kept %s: %q, %v", name, data, err)
		}
	}
}

// TestStreams that are refused, with nothing changed.
func TestStreams(t *testing.T) {
	for name, agent := range map[string]func(tr *trip){
		"../x":             func(tr *trip) { tr.entry(tar.Header{Typeflag: tar.TypeReg, Name: "w/../../x"}, "") },
		"/etc/x":           func(tr *trip) { tr.entry(tar.Header{Typeflag: tar.TypeReg, Name: "/etc/x"}, "") },
		"there twice":      func(tr *trip) { tr.file("a", "1"); tr.file("a", "2") },
		"which is no file": func(tr *trip) { tr.entry(tar.Header{Typeflag: tar.TypeLink, Name: "w/h", Linkname: "w/none"}, "") },
		"too much":         func(tr *trip) { tr.file("big", strings.Repeat("x", 1<<20+1)) },
	} {
		tr := newTrip(t, map[string]string{"a": "1"})
		agent(tr)
		if _, err := tr.unpack(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	tr := newTrip(t, map[string]string{"a": "1"})
	for _, data := range [][]byte{nil, make([]byte, 1024), tr.out[:700]} {
		if _, err := Unpack(bytes.NewReader(data), "w", tr.snap, t.TempDir(), 1<<20); err == nil {
			t.Errorf("a stream of %d bytes counts as a workspace", len(data))
		}
	}
}

// TestPackRefuses what is neither file, folder nor link.
func TestPackRefuses(t *testing.T) {
	tr := newTrip(t, nil)
	if err := unix.Mkfifo(filepath.Join(tr.dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.folder.Pack(&bytes.Buffer{}, "w", 1, 1); err == nil || !strings.Contains(err.Error(), `"pipe" is a socket, a pipe or a device`) {
		t.Errorf("got %v", err)
	}
	if _, err := OpenFolder(filepath.Join(tr.dir, "none")); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	if !within(".vſcode/x", ".vscode") {
		t.Error("another spelling of a protected path, where case is not told apart")
	}
	if within("ab", "a") || !within("A/b", "a") || !within("a", "A") {
		t.Error("within")
	}
}

// TestNames: a name is bytes. One that is not UTF-8 comes back like others.
func TestNames(t *testing.T) {
	const name = "caf\xe9"
	tr := newTrip(t, map[string]string{name: "old"})
	in := tar.NewReader(bytes.NewReader(tr.out))
	for {
		h, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "w/"+name {
			break
		}
	}
	tr.file(name, "new")
	tr.back()
	tr.want(name, "new")
}
