package sandbox

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSortOf(t *testing.T) {
	for rel, want := range map[string]sort{
		".env": secret, "a/b/.env": secret, ".env.local": secret, ".ENV": secret, "prod.env": secret, "x/id_ed25519": secret,
		"terraform.tfstate": secret, "terraform.tfstate.backup": secret, "client_secret_12.apps.json": secret, "my-service-account.json": secret,
		".aws/credentials": secret, "h/.docker/config.json": secret, ".claude/.credentials.json": secret,
		".npmrc": maybeSecret, "tls/server.key": maybeSecret, "KEY.PEM": maybeSecret, "prod.tfvars": maybeSecret,
		".env.example": plainFile, ".env.local.sample": plainFile, "env": plainFile, "environment": plainFile, ".environment": plainFile,
		"id_rsa.pub": plainFile, "ca.pem": plainFile, "fullchain.pem": plainFile, "ca.pem.key": maybeSecret, "config.json": plainFile, "credentials": plainFile,
		"secrets.go": plainFile, "main.go": plainFile, "tsconfig.json": plainFile, "key": plainFile,
	} {
		if got := sortOf(rel); got != want {
			t.Errorf("%s: %d, want %d", rel, got, want)
		}
	}
}

func TestChosen(t *testing.T) {
	for _, c := range []struct {
		pattern, rel string
		want         bool
	}{
		{"x.json", "x.json", true}, {"x.json", "a/b/x.json", true}, {"a/x.json", "a/x.json", true}, {"a/x.json", "b/a/x.json", false},
		{"./x.json", "x.json", true}, {"./x.json", "a/x.json", false}, {"*.json", "a/x.json", true}, {"a/*.json", "a/b/x.json", false},
		{"testdata", "a/testdata/k/x.pem", true}, {"testdata/", "a/testdata/k/x.pem", true}, {"a/b", "a/b/c", true}, {"a/b", "a/bc", false},
	} {
		if got := chosen([]string{c.pattern}, c.rel); got != c.want {
			t.Errorf("%s for %s: %v", c.pattern, c.rel, got)
		}
	}
}

// lay makes files below dir: a text, or "->X" for a link.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		mkdir(t, filepath.Dir(path))
		if to, ok := strings.CutPrefix(text, "->"); ok {
			symlink(t, to, path)
			continue
		}
		write(t, path, text)
	}
}

func TestMasked(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{
		".env": "A=1", "app/.env.local": "B=2", "app/.env.example": "B=", ".npmrc": "token", "deploy/id_rsa": "k", "other/data.bin": "x",
		"private/a": "x", "private/b/c": "y", "node_modules/p/test/key.pem": "theirs", "venv/lib/site-packages/certifi/cacert.pem": "theirs",
		"out": "->/etc/hostname", "linked.env": "->app/.env.local", "dangling.env": "->nowhere", "dir.env/x": "a folder", "far.env": "->/root/closed/x",
	})
	w := openWorkspace(t, dir, Policy{Mask: []string{"private", "data.*", "nothing"}, Show: []string{"deploy/id_*"}, Dry: true})
	if got, want := strings.Join(w.Masked(), " "), ".env .npmrc app/.env.local other/data.bin private"; got != want {
		t.Errorf("masked %s, want %s", got, want)
	}
	if got := strings.Join(w.Idle(), " "); got != "nothing" {
		t.Errorf("idle %q", got)
	}
	w = openWorkspace(t, dir, Policy{ShowSecrets: true, Mask: []string{"other/*"}, Dry: true})
	if got := strings.Join(w.Masked(), " "); got != "other/data.bin" {
		t.Errorf("with secrets off: masked %s", got)
	}
	w = openWorkspace(t, dir, Policy{Writable: []string{".env"}, Keep: []string{filepath.Join(dir, "app/.env.local")}, Dry: true})
	if got := strings.Join(w.Masked(), " "); got != ".npmrc deploy/id_rsa" {
		t.Errorf("what is left to others: masked %s", got)
	}
}

// TestMaskRefusals: what an earlier agent could have arranged so that something is
// overlooked.
func TestMaskRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		do    func(dir string) error
		pol   Policy
		want  string // "" for a workspace that is fit
	}{
		{"a link to another name", map[string]string{".env": "->cfg/prod", "cfg/prod": "x"}, nil, Policy{}, "symbolic link"},
		{"one whose target is masked", map[string]string{".env": "->cfg/prod", "cfg/prod": "x"}, nil, Policy{Mask: []string{"cfg/prod"}}, ""},
		{"one that is shown", map[string]string{".env": "->cfg/prod", "cfg/prod": "x"}, nil, Policy{Show: []string{".env"}}, ""},
		{"a link into a folder of others' files", map[string]string{".env": "->vendor/.env", "vendor/.env": "x"}, nil, Policy{}, "symbolic link"},
		{"a link to a folder of credentials", map[string]string{".aws": "->a", "a/credentials": "x"}, nil, Policy{}, "symbolic link"},
		{"one without any", map[string]string{".aws": "->a", "a/config": "x", ".kube": "->nowhere"}, nil, Policy{}, ""},
		{"a link to a folder that is to be masked", map[string]string{"p": "->q", "q/x": "x"}, nil, Policy{Mask: []string{"p"}}, "symbolic link"},
		{"a closed folder", map[string]string{"d/.env": "x"}, func(dir string) error { return os.Chmod(filepath.Join(dir, "d"), 0) }, Policy{}, "cannot be read"},
		{"a link into one that is closed", map[string]string{"d/x": "x", ".env": "->d/x"}, func(dir string) error { return os.Chmod(filepath.Join(dir, "d"), 0o400) }, Policy{}, "cannot be read"},
		{"a socket in a masked folder", map[string]string{"p/x": "x"}, func(dir string) error { return makeSocket(filepath.Join(dir, "p/s")) }, Policy{Mask: []string{"p"}}, ""},
		{"another name of it", map[string]string{".env": "x"}, link(".env", "a/notes"), Policy{}, "another name"},
		{"one in a folder that is to be masked", map[string]string{"p/x": "x"}, link("p/x", "notes"), Policy{Mask: []string{"p"}}, "another name"},
		{"two names that are both masked", map[string]string{".env": "x"}, link(".env", "a/notes"), Policy{Mask: []string{"notes"}}, ""},
		{"another name that is shown", map[string]string{".env": "x"}, link(".env", "a/notes"), Policy{Show: []string{"notes"}}, ""},
		{"another name of what is protected", map[string]string{".git/hooks/pre-commit": "x"}, link(".git/hooks/pre-commit", "a/notes"), Policy{}, "another name"},
		{"of what is only read", map[string]string{"mise.toml": "x"}, link("mise.toml", "a/notes"), Policy{}, "another name"},
		{"two names that are both protected", map[string]string{"mise.toml": "x"}, link("mise.toml", ".claude/notes"), Policy{}, ""},
		{"one masked, one protected", map[string]string{".env": "x"}, link(".env", ".claude/notes"), Policy{}, "another name"},
		{"another name of any other file", map[string]string{".env": "x", "b": "y"}, link("b", "a/notes"), Policy{}, ""},
		{"a flood", nil, func(dir string) error {
			for i := range maxMasks + 1 {
				if err := os.WriteFile(filepath.Join(dir, strings.Repeat("x", i/100+1)+strings.Repeat("y", i%100)+".env"), nil, 0o600); err != nil {
					return err
				}
			}
			return nil
		}, Policy{}, "more than 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			lay(t, dir, c.files)
			if c.do != nil {
				if err := c.do(dir); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(c.want, "cannot be read") {
				t.Cleanup(func() { os.Chmod(filepath.Join(dir, "d"), 0o700) })
				if os.Geteuid() == 0 {
					t.Skip("root reads it")
				}
			}
			c.pol.Dry = true
			w, err := OpenWorkspace(dir, c.pol)
			if err == nil {
				w.Close()
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "hint: ")) {
				t.Errorf("got %v; wanted %q", err, c.want)
			}
		})
	}
}

// link makes another name of a file.
func link(of, name string) func(dir string) error {
	return func(dir string) error {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			return err
		}
		return os.Link(filepath.Join(dir, of), filepath.Join(dir, name))
	}
}

// TestTracked: what git has, as it is, is shown, and nothing else, whatever an agent
// writes into the index.
func TestTracked(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "protocol.file.allow=always"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	lay(t, dir, map[string]string{"sub/.env": "S=1"})
	dir = filepath.Join(dir, "sub")
	git("init", "-q")
	git("add", ".env")
	git("commit", "-q", "-m", "x")
	dir = filepath.Join(filepath.Dir(dir), "w")
	lay(t, dir, map[string]string{".env": "A=1", "changed/.env": "B=1", "testdata/key.pem": "test", "hidden.env": "", ".npmrc": "x", "ours.env": "->testdata/plain", "testdata/plain": "p"})
	git("init", "-q")
	git("add", ".")
	git("rm", "-q", "--cached", ".npmrc")
	git("submodule", "--quiet", "add", filepath.Join(filepath.Dir(dir), "sub"), "mod")
	// As after an agent's `git add -f hidden.env`, which was empty to it.
	write(t, filepath.Join(dir, "hidden.env"), "the real one")
	write(t, filepath.Join(dir, "changed/.env"), "B=real")
	w := openWorkspace(t, dir, Policy{Dry: true})
	if got, want := strings.Join(w.Masked(), " "), ".npmrc changed/.env hidden.env"; got != want {
		t.Errorf("masked %s, want %s", got, want)
	}
	if got, want := strings.Join(w.Tracked(), " "), ".env mod/.env"; got != want {
		t.Errorf("told to be shown: %s, want %s", got, want)
	}
	w = openWorkspace(t, dir, Policy{Dry: true, Mask: []string{"./.env"}})
	if got, want := strings.Join(w.Masked(), " "), ".env .npmrc changed/.env hidden.env"; got != want {
		t.Errorf("asked for: masked %s, want %s", got, want)
	}
	write(t, filepath.Join(dir, ".git/index"), "DIRC\x00\x00\x00\x02\xff\xff\xff\xff")
	w = openWorkspace(t, dir, Policy{Dry: true, Show: []string{"ours.env"}})
	if got, want := strings.Join(w.Masked(), " "), ".env .npmrc changed/.env hidden.env testdata/key.pem"; got != want {
		t.Errorf("with a broken index: masked %s, want %s", got, want)
	}
}

// TestMaskHolds: the agent can do nothing to what is masked, nor to what leads
// there, and the file is what it was.
func TestMaskHolds(t *testing.T) {
	needsSandbox(t)
	dir := t.TempDir()
	lay(t, dir, map[string]string{".env": "A=secret", "app/conf/.env.local": "B=secret", "private/k": "secret", ".vscode/.env": "C=secret", "app/free": "x\n"})
	w := openWorkspace(t, dir, Policy{Mask: []string{"private"}})
	script := `
for f in .env app/conf/.env.local .vscode/.env; do
	[ -f $f ] && [ -z "$(cat $f)" ] && ! [ -s $f ] && echo empty $f
	for try in "echo x >$f" "echo x >>$f" "rm -f $f" "mv $f moved" "ln $f linked" "chmod 777 $f" "truncate -s 1 $f" "umount $f" "cp free $f" "ln -sf free $f"; do
		(eval "$try") 2>/dev/null && echo "done: $try"
	done
done
ls -A private; (echo x >private/y) 2>/dev/null && echo "done: private"
for try in "mv app gone" "mv app/conf gone" "mv private gone" "mv .vscode gone" "rm -rf private" "mv app/conf app/conf2"; do (eval "$try") 2>/dev/null && echo "done: $try"; done
grep -rs secret . /proc/self/mountinfo && echo found
echo mine >app/conf/.env.new && cat app/conf/.env.new; mv app/free app/conf/free && cat app/conf/free`
	code, out, errs := run(t, config(t, w, "sh", "-c", script))
	if want := "empty .env\nempty app/conf/.env.local\nempty .vscode/.env\nmine\nx\n"; code != 0 || out != want {
		t.Errorf("exit %d, %s%s; want\n%s", code, out, errs, want)
	}
	w.Close()
	for name, want := range map[string]string{".env": "A=secret", "app/conf/.env.local": "B=secret", "private/k": "secret", ".vscode/.env": "C=secret", "app/conf/.env.new": "mine\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestMaskedBytes: names are bytes, and each of two that differ in what is not Unicode
// is masked.
func TestMaskedBytes(t *testing.T) {
	needsSandbox(t)
	dir := t.TempDir()
	lay(t, dir, map[string]string{"caf\xe9/.env": "A=secret", "caf\ufffd/.env": "an earlier agent's"})
	cfg := config(t, openWorkspace(t, dir, Policy{}), "sh", "-c", `cat */.env; printf "$1$V"`, "sh", "\xe9")
	cfg.Env = append(cfg.Env, "V=\xff")
	if code, out, errs := run(t, cfg); code != 0 || out != "\xe9\xff" {
		t.Errorf("exit %d, %q %s", code, out, errs)
	}
}

func makeSocket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}
