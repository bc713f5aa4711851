package scripts

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestOnlyWayOut has the agent leave out the proxy. It must be told at once, and
// not wait for a time-out.
//
// README: A connection that does not go through the proxy fails at once:
// the agent's network namespace is empty but for one lent listener.
func TestOnlyWayOut(t *testing.T) {
	needCurl(t)
	ln, err := net.Listen("tcp", ":0") // every address of this machine
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	targets := []string{"https://1.1.1.1/", "http://127.0.0.1:" + port + "/", "http://[::1]:" + port + "/", "https://allowed.test/"}
	for _, a := range hostAddresses(t) {
		targets = append(targets, "http://"+net.JoinHostPort(a, port)+"/")
	}
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("direct")
		for _, url := range targets {
			start := time.Now()
			out, code := b.sh("curl -sS -g -m 10 --noproxy '*' " + url)
			if took := time.Since(start); code == 0 || took > time.Second {
				t.Errorf("curl --noproxy '*' %s: exit %d after %v: %s", url, code, took, out)
			}
		}
	})
}

// hostAddresses are this machine's besides loopback.
func hostAddresses(t *testing.T) (list []string) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			list = append(list, n.IP.String())
		}
	}
	return list
}

// TestHomeIsHidden has the agent look for what else is in the operator's home.
//
// README: The agent sees its workspace, where files such as `.env` are empty to it,
// and read-only system folders, and nothing else of your home. Started by root it is
// not root.
func TestHomeIsHidden(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		const mark = "mark-of-a-secret"
		secret := filepath.Join(op.home, ".ssh", "id_e2e_secret")
		op.write(secret, mark+"\n", 0o600)
		op.write(filepath.Join(op.home, "src", "other", "e2e_secret"), mark+"\n", 0o644)
		op.write(filepath.Join(op.work, "app", ".env"), "KEY="+mark+"\n", 0o644)
		op.env = append(op.env, "SOME_KEY="+mark)
		b := op.start("hidden")
		for script, want := range map[string]string{
			"ls -A " + op.home:                       "src\n",
			"ls -A " + filepath.Join(op.home, "src"): "project\n",
			"cat README":                             "the project\n",
			"wc -c <app/.env":                        "0\n",
		} {
			if out, code := b.sh(script); out != want || code != 0 {
				t.Errorf("%s: wanted %q; got %q", script, want, out)
			}
		}
		for _, script := range []string{
			"cat " + secret,
			"ls -d " + op.home + "/.local " + op.home + "/bottle.yaml",
			"find / -path /proc -prune -o -path /usr -prune -o -name '*e2e_secret*' -print 2>/dev/null | grep .",
			"env | grep " + mark,
			"cat /proc/[0-9]*/environ 2>/dev/null | grep -a " + mark,
			"grep -rsl --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr --exclude-dir=opt --devices=skip mark-of-a-[s]ecret /",
			"ls /.host",
		} {
			if out, code := b.sh(script); code == 0 {
				t.Errorf("%s: wanted nothing; got %q", script, out)
			}
		}
	})
}

// TestStartedByRoot: the agent has no right of root's, and what it makes in
// root's workspace is root's, as if root had made it.
func TestStartedByRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	op := asSelf(t)
	op.write(filepath.Join(op.home, "root-only"), "for root\n", 0o600)
	op.write(filepath.Join(op.work, "roots"), "root's own\n", 0o600)
	b := op.start("root")
	for _, script := range []string{
		"cat /etc/shadow", "cat " + filepath.Join(op.home, "root-only"),
		"touch /etc/e2e", "touch /usr/e2e", "touch /usr/bin/env", "mkdir /e2e", "chown 0 README && chmod u+s README", "mount -t tmpfs none /mnt",
		`test "$(id -u)" = 0`, "kill -0 1", "echo 1 >/proc/sys/kernel/panic",
	} {
		if out, code := b.sh(script); code == 0 {
			t.Errorf("%s: succeeded: %s", script, out)
		}
	}
	// What lies between the root and the workspace is the agent's own and ends with it.
	b.sh("touch " + filepath.Join(op.home, "e2e") + " " + filepath.Join(op.home, "src", "e2e"))
	out, code := b.sh("cat roots && mkdir -p made/deep && echo x >made/deep/file && ln -s file made/deep/link && chmod 755 made/deep/file")
	if code != 0 {
		t.Errorf("in the workspace: exit %d: %s", code, out)
	}
	for _, name := range []string{"made", "made/deep", "made/deep/file", "made/deep/link"} {
		fi, err := os.Lstat(filepath.Join(op.work, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if st := fi.Sys().(*syscall.Stat_t); st.Uid != 0 || st.Gid != 0 {
			t.Errorf("%s: of %d:%d; wanted root's", name, st.Uid, st.Gid)
		}
	}
	leftOutside(t, op)
}

// leftOutside checks that the attempts left no file.
func leftOutside(t *testing.T, op *operator) {
	t.Helper()
	for _, path := range []string{"/etc/e2e", "/usr/e2e", "/e2e", filepath.Join(op.home, "e2e"), filepath.Join(op.home, "src", "e2e")} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s was made", path)
		}
	}
	fi, err := os.Stat(filepath.Join(op.work, "README"))
	if err != nil || fi.Mode()&os.ModeSetuid != 0 && fi.Sys().(*syscall.Stat_t).Uid == 0 {
		t.Errorf("README: %v, %v", fi.Mode(), err)
	}
}

// TestNoTrace: what the sandbox needed while it ran is gone from the workspace.
func TestNoTrace(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		if r := op.inside("true"); r.code != 0 {
			t.Fatal(r)
		}
		entries, err := os.ReadDir(op.work)
		if err != nil || len(entries) != 1 || entries[0].Name() != "README" {
			t.Errorf("the workspace holds %v, %v", entries, err)
		}
	})
}
