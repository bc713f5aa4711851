package scripts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/docker/dockertest"
)

// TestDockerBottle is the main job in containers, in both networks: refused,
// proposed, approved, through, with a credential that the agent never sees.
func TestDockerBottle(t *testing.T) {
	alongside(t)
	for _, way := range [][2]string{{"none", ""}, {"bridge", ""}, {"none", "pipelock"}, {"bridge", "pipelock"}} {
		network := way[0]
		t.Run(network+way[1], func(t *testing.T) {
			alongside(t)
			more := ""
			if way[1] != "" {
				more = "pipelock: {image: \"" + lockImage(t, dockertest.Engine(t)) + "\"}\n"
			}
			d := newDockside(t, more)
			b := d.berth("-network", network)
			defer d.sink()
			if status, _, body := b.get("https://allowed.test/"); status != 200 || body != "hello from allowed.test\n" {
				t.Errorf("an allowed host: %d %s", status, body)
			}
			if status, _, _ := b.get("https://start.test/"); status != 200 {
				t.Errorf("a credential of the manifest: %d", status)
			}
			d.got("start.test got Bearer a-credential-at-the-start")
			if status, code, body := b.get("https://credential.test/me"); status != 403 || code != "host-not-allowed" {
				t.Errorf("another host: %d %s %s", status, code, body)
			}
			approveInDocker(t, d, b)
			if status, _, _ := b.get("https://credential.test/me"); status != 200 {
				t.Errorf("approved: %d", status)
			}
			d.got("credential.test got Bearer a-credential-of-e2e")
			nothingElse(t, d, b)
			noSecret(t, d, b)
			if out, code := b.sh("id -u; id -un; pwd; echo $HOME; cat /etc/ssl/certs/ca-certificates.crt | head -1"); code != 0 || !strings.HasPrefix(out, "1000\nagent\n/work/"+d.name+"\n/home/agent\n") || strings.Contains(out, "of the image") {
				t.Errorf("who and where: %s", out)
			}
			d.sink()
			b.end()
		})
	}
}

// approveInDocker has the agent propose, and the operator approve.
func approveInDocker(t *testing.T, d *dockside, b *bottle) {
	t.Helper()
	id, mark := b.proposed(wantsCredential)
	d.must("superviser", "show", "-bottle", d.name, id)
	d.must("superviser", "approve", "-bottle", d.name, id)
	if out, code := b.result(mark); code != 0 || !strings.Contains(out, "approved: credential.test is live") {
		t.Errorf("the agent is told: exit %d %s", code, out)
	}
}

// nothingElse: no host port, no other container, no name, no metadata.
func nothingElse(t *testing.T, d *dockside, b *bottle) {
	t.Helper()
	targets := append(hostPorts(t), "169.254.169.254:80", d.address(d.object("world"))+":443", "192.0.2.1:80")
	var script strings.Builder
	script.WriteString(`try() { t=$(curl -s -m 2 --noproxy '*' -o /dev/null -w '%{time_connect}' "$1"); [ "$t" = 0.000000 ] || echo "reached $1"; }` + "\n")
	for _, a := range targets {
		fmt.Fprintf(&script, "try http://%s/ &\n", a)
	}
	script.WriteString("try $http_proxy/ &\n") // which shows that it would be told
	script.WriteString("{ curl -s -m 5 --noproxy '*' http://example.com/; c=$?; [ $c = 6 -o $c = 28 ] || echo resolved; } &\nwait")
	if out, _ := b.sh(script.String()); strings.Count(out, "reached") != 1 || !strings.Contains(out, ":9099/\n") || strings.Contains(out, "resolved") {
		t.Errorf("from the agent:\n%s", out)
	}
	if out, _ := b.sh("grep -E '^Cap(Eff|Bnd)|NoNewPrivs|Seccomp_filters' /proc/self/status"); !strings.Contains(out, "CapEff:\t0000000000000000") || !strings.Contains(out, "CapBnd:\t0000000000000000") || !strings.Contains(out, "NoNewPrivs:\t1") || !strings.Contains(out, "Seccomp_filters:\t2") {
		t.Errorf("rights: %s", out)
	}
}

// noSecret: the credentials and the authority's key are where they are used and
// nowhere else.
func noSecret(t *testing.T, d *dockside, b *bottle) {
	t.Helper()
	key, err := d.e.File(t.Context(), d.object("egress-proxy"), "/bottle/egress-proxy/ca-key.pem", 1<<20)
	must(t, err)
	secrets := []string{"a-credential-of-e2e", "a-credential-at-the-start", strings.Split(string(key), "\n")[1]}
	seen := map[string]string{}
	for _, role := range []string{"agent", "egress-proxy", "superviser"} {
		seen["inspect "+role], _ = dockerCLI(t, "inspect", d.object(role))
		seen["image of "+role], _ = dockerCLI(t, "history", "--no-trunc", strings.TrimSpace(func() string { s, _ := dockerCLI(t, "inspect", "--format", "{{.Image}}", d.object(role)); return s }()))
		seen["top "+role], _ = dockerCLI(t, "top", d.object(role), "-eo", "pid,args")
		if role != "agent" {
			seen["logs "+role], _ = dockerCLI(t, "logs", d.object(role))
		}
	}
	seen["the agent"], _ = b.sh("env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null; cat /run/bottle/*.pem /run/bottle/mcp.json")
	must(t, filepath.WalkDir(filepath.Dir(string(d.dir(d.name))), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile(path)
			seen[path] = string(data)
		}
		return err
	}))
	for where, text := range seen {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s has a secret in it", where)
			}
		}
	}
	if len(seen["the agent"]) < 1000 || len(seen["inspect agent"]) < 1000 {
		t.Errorf("looked at nothing: %q", seen["the agent"])
	}
}

// TestDockerWorkspace: it is copied there and back; what the host would run is
// held back, what the host has changed meanwhile stays.
func TestDockerWorkspace(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	write := func(name, text string) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(d.work, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(d.work, name), []byte(text), 0o644))
	}
	for name, text := range map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/hooks/own": "mine\n", "kept": "kept\n", "gone": "gone\n", "both": "old\n", "dir/x": "x\n"} {
		write(name, text)
	}
	must(t, os.Symlink("kept", filepath.Join(d.work, "link")))
	b := d.startWith(d.name, "-backend", "docker")
	if out, _ := b.sh("ls -A . dir .git/hooks; cat link"); out != ".:\n.git\nboth\ndir\ngone\nkept\nlink\n\n.git/hooks:\nown\n\ndir:\nx\nkept\n" {
		t.Errorf("inside: %q", out)
	}
	b.sh("echo new >new; rm gone; rm -r dir; echo agent >both; echo evil >.git/hooks/post-checkout; echo evil >.envrc; mkdir -p d/e; echo f >d/e/f; mkfifo pipe; ln -s /etc/passwd out")
	write("both", "host\n")
	b.end()
	notes := b.notes.String()
	for _, want := range []string{"held back: .git/hooks/post-checkout (new): protected", "held back: .envrc (new): protected", "held back: both (changed): changed on the host meanwhile", "left behind: pipe"} {
		if !strings.Contains(notes, want) {
			t.Errorf("not said: %q in\n%s", want, notes)
		}
	}
	for name, want := range map[string]string{"new": "new\n", "gone": "", "dir/x": "", "both": "host\n", ".git/hooks/post-checkout": "", ".envrc": "", "d/e/f": "f\n", "kept": "kept\n", ".git/hooks/own": "mine\n"} {
		got, err := os.ReadFile(filepath.Join(d.work, name))
		if string(got) != want || want == "" && !os.IsNotExist(err) {
			t.Errorf("%s: %q, %v; wanted %q", name, got, err, want)
		}
	}
	held, err := filepath.Glob(d.dir(d.name).In("held", "*", ".envrc"))
	if err != nil || len(held) != 1 {
		t.Errorf("kept: %v, %v", held, err)
	}
}

// TestDockerExits: the agent's own code, by the engine's books.
func TestDockerExits(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	for _, c := range []struct {
		code     int
		out, err string
		command  []string
	}{
		{42, "in\nout\n", "", []string{"sh", "-c", "cat; echo out; exit 42"}},
		{143, "", "", []string{"sh", "-c", "kill -TERM $$"}},
		{127, "", "nosuch", []string{"nosuch"}},
		{126, "", "/etc/passwd", []string{"/etc/passwd"}},
	} {
		r := d.sail("in\n", append([]string{d.name, "--"}, c.command...)...)
		if r.code != c.code || r.out != c.out || !strings.Contains(r.errors, c.err) {
			t.Errorf("%q: wanted %d %q %q; got %v", c.command, c.code, c.out, c.err, r)
		}
	}
	if r := d.sail("", d.name); r.code != 0 || r.out != "of the image\n1000\n" {
		t.Errorf("without a command: %v", r)
	}
	b := d.startWith(d.name, "-backend", "docker")
	mark := b.send(`trap "echo caught" USR1; echo waiting; while :; do sleep 0.05; done`)
	await(t, "the agent's loop", func() bool { return len(b.lines) > 0 })
	r := d.must("bottlerun", "exec", d.name, "--", "sh", "-c", "id -u; exit 0")
	if r != "1000\n" {
		t.Errorf("exec: %q", r)
	}
	if r := d.run("bottlerun", "exec", d.name, "--", "sh", "-c", "grep Seccomp_filters /proc/self/status; exit 9"); r.code != 9 || !strings.Contains(r.out, "\t2") {
		t.Errorf("exec: %v", r)
	}
	d.want(1, "runs already", "bottlerun", "run", "-backend", "docker", "-f", d.manifest, d.name, "--", "true")
	if out := d.must("bottlerun", "ls"); !strings.Contains(out, d.name+"\trunning\tdocker\t") {
		t.Errorf("ls: %s", out)
	}
	await(t, "the self-test's result", func() bool {
		out := d.must("bottlerun", "ls", "-v")
		return strings.Contains(out, d.name+"\tself-test\t2") && strings.Contains(out, "\thost\trefused\t") && strings.Contains(out, "\tsocket\trefused\t1\t-\tAF_VSOCK")
	})
	d.env = append(d.env, "BOTTLE_DIR="+t.TempDir()) // another operator's
	if out := d.must("bottlerun", "ls", "-v"); !strings.Contains(out, d.name+"\tself-test\t-\t-\t-\t0\t-\tits result is with its launcher, on host ") {
		t.Errorf("ls -v without the record: %s", out)
	}
	labelled := d.follow("logs", "-f", d.name)
	d.env = d.env[:len(d.env)-1]
	recorded, part := d.follow("logs", "-f", d.name), d.follow("logs", "-f", d.name, "superviser")
	d.want(22, "", "bottlerun", "exec", d.name, "--", "curl", "-sf", "http://followed.test/")
	for _, f := range []*follower{labelled, recorded} {
		f.shows(`"host":"followed.test"`)
	}
	_ = mark
	volume, _ := dockerCLI(t, "inspect", "--format", `{{range .Mounts}}{{if eq .Destination "/data"}}{{.Name}}{{end}}{{end}}`, d.object("agent"))
	d.must("bottlerun", "stop", d.name)
	if code := b.exit(); code != 143 {
		t.Errorf("stopped: exit %d\n%s", code, b.notes.String())
	}
	for _, f := range []*follower{labelled, recorded, part} {
		f.end()
	}
	d.want(1, "no bottle", "bottlerun", "stop", d.name)
	if out, code := dockerCLI(t, "volume", "inspect", strings.TrimSpace(volume)); code != 1 || !strings.Contains(out, "o such volume") {
		t.Errorf("the image's own volume %q: exit %d %s", volume, code, out)
	}
}

// TestDockerKilled: a launcher that is killed, at any time, leaves nothing that gc
// does not find, and the bottle ends with it.
func TestDockerKilled(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	must(t, os.WriteFile(filepath.Join(d.work, "file"), []byte("work\n"), 0o644))
	began := time.Now()
	if r := d.sail("", d.name, "--", "sh", "-c", ":"); r.code != 0 {
		t.Fatal(r)
	}
	whole := time.Since(began)
	for i := range 10 {
		cmd := d.command(t.Context(), "bottlerun", "run", "-backend", "docker", "-f", d.manifest, d.name, "--", "sh", "-c", "echo changed >file; sleep 60")
		must(t, cmd.Start())
		if i < 9 {
			time.Sleep(time.Duration(i) * whole / 10) // the point is what varies
		} else {
			await(t, "the agent's work", func() bool {
				_, code := dockerCLI(t, "exec", d.object("agent"), "grep", "changed", "/work/"+d.name+"/file")
				return code == 0
			})
		}
		must(t, cmd.Process.Signal(syscall.SIGKILL))
		cmd.Wait()
		await(t, "the end of its parts", func() bool {
			out, _ := dockerCLI(t, "ps", "--quiet", "--filter", "label=bottle.name="+d.name)
			return out == ""
		})
		d.must("bottlerun", "gc")
		if left := d.left(); left != "" {
			t.Errorf("point %d: gc leaves %s", i, left)
		}
		if data, err := os.ReadFile(filepath.Join(d.work, "file")); string(data) != "work\n" {
			t.Errorf("point %d: the workspace: %q, %v", i, data, err)
		}
	}
	saved, err := filepath.Glob(d.dir(d.name).In("workspace-*.tar"))
	if err != nil || len(saved) == 0 {
		t.Errorf("no work was saved: %v, %v", saved, err)
	}
	if r := d.sail("", d.name, "--", "sh", "-c", "cat file"); r.code != 0 || r.out != "work\n" {
		t.Errorf("afterwards: %v", r)
	}
}

// TestDockerStart: from the command to the agent, and what it takes to go.
func TestDockerStart(t *testing.T) {
	d := newDockside(t, "")
	var ready, whole []time.Duration
	for range 3 {
		began := time.Now()
		r := d.sail("", d.name, "--", "sh", "-c", "read a b </proc/uptime; echo $a")
		whole = append(whole, time.Since(began))
		if r.code != 0 {
			t.Fatal(r)
		}
		var at float64
		fmt.Sscan(r.out, &at)
		ready = append(ready, time.Duration(at*float64(time.Second))-uptimeAt(t, began))
	}
	slices.Sort(ready)
	slices.Sort(whole)
	t.Logf("median of 3: ready %v, whole run %v", ready[1].Round(time.Millisecond), whole[1].Round(time.Millisecond))
	if ready[0] > 6*time.Second {
		t.Errorf("the fastest of 3 starts took %v", ready[0])
	}
}

// uptimeAt is the machine's uptime at a time gone by.
func uptimeAt(t *testing.T, when time.Time) time.Duration {
	t.Helper()
	data, err := os.ReadFile("/proc/uptime")
	must(t, err)
	var now float64
	fmt.Sscan(string(data), &now)
	return time.Duration(now*float64(time.Second)) - time.Since(when)
}
