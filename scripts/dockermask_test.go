package scripts

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDockerMasks: files of credentials are empty in a container, of a copied
// workspace and of the folder itself, and are what they were afterwards.
func TestDockerMasks(t *testing.T) {
	alongside(t)
	const secret = "a-secret-of-the-workspace\n"
	files := []string{".env", "app/.env.local", "private/key"}
	for _, bind := range []bool{false, true} {
		d := newDockside(t, "protect: {mask: [private]}\n")
		for _, name := range append(files, ".env.example") {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(d.work, name)), 0o755))
			must(t, os.WriteFile(filepath.Join(d.work, name), []byte(secret), 0o644))
		}
		args := []string{d.name, "--", "sh", "-c", "cat .env app/.env.local; ls -A private; grep -rl of-the-workspace .; (rm .env; echo x >app/.env.local; mv app gone; echo x >private/more; cp .env.example .env) 2>/dev/null; exit 0"}
		if bind {
			args = append([]string{"-bind"}, args...)
			must(t, filepath.WalkDir(d.work, func(path string, _ os.DirEntry, err error) error {
				if err == nil && os.Geteuid() == 0 {
					err = os.Chown(path, strangerUID, strangerUID)
				}
				return err
			}))
		}
		r := d.sail("", args...)
		if r.code != 0 || r.out != "./.env.example\n" || !strings.Contains(r.errors, "empty to the agent: .env, app/.env.local, private\n") {
			t.Errorf("bind %v: %v", bind, r)
		}
		for _, name := range files {
			if got := d.brought(name); got != secret {
				t.Errorf("bind %v: %s is %q", bind, name, got)
			}
		}
		if _, err := os.Lstat(filepath.Join(d.work, "private/more")); err == nil {
			t.Errorf("bind %v: the agent wrote into a masked folder", bind)
		}
		if !bind && strings.Count(r.errors, "held back: ") < 3 {
			t.Errorf("what was held back: %s", r.errors)
		}
		if bind {
			replacedUnder(t, d)
		}
	}
}

// TestDockerMasksLate: a file of credentials that is saved while the agent's image is
// built is empty to the agent too.
func TestDockerMasksLate(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	d.write(filepath.Join(d.home, "Dockerfile"), "FROM "+agentImage(t, d.e)+"\nENV LATE="+d.name+"\n", 0o644)
	text, err := os.ReadFile(d.manifest)
	must(t, err)
	d.write(d.manifest, strings.Replace(string(text), "image: "+agentImage(t, d.e), "dockerfile: Dockerfile", 1), 0o644)
	real, err := exec.LookPath(cmp.Or(d.e.Program, "docker"))
	must(t, err)
	saves := filepath.Join(d.home, "bin", filepath.Base(real))
	d.write(saves, "#!/bin/sh\ncase $1 in build) echo SECRET=1 >"+filepath.Join(d.work, ".env")+";; esac\nexec "+real+" \"$@\"\n", 0o755)
	d.env = append(d.env, "BOTTLE_DOCKER="+saves)
	t.Cleanup(func() { dockerCLI(t, "rmi", "-f", d.object("image")) })
	r := d.sail("", d.name, "--", "sh", "-c", "ls -A; cat .env")
	if r.code != 0 || r.out != ".env\n" || !strings.Contains(r.errors, "empty to the agent: .env\n") {
		t.Errorf("got %v", r)
	}
	if got := d.brought(".env"); got != "SECRET=1\n" {
		t.Errorf("afterwards: %q", got)
	}
}

// replacedUnder: the agent of a workspace that is bound does not outlive what a program
// outside puts in the place of a masked file.
func replacedUnder(t *testing.T, d *dockside) {
	replaced := make(chan error, 1)
	go func() {
		for late := time.Now().Add(limit); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
			if _, err := os.Lstat(filepath.Join(d.work, "up")); err == nil {
				break
			}
		}
		path := filepath.Join(d.work, ".env")
		replaced <- errors.Join(os.WriteFile(path+".new", []byte("renamed"), 0o644), os.Rename(path+".new", path))
	}()
	r := d.sail("", "-bind", d.name, "--", "sh", "-c", "touch up; sleep 100")
	must(t, <-replaced)
	if r.code != 3 || !strings.Contains(r.errors, ".env was replaced or removed outside of the bottle") {
		t.Errorf("a masked file was replaced: %v", r)
	}
}
