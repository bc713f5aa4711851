package scripts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// findings are doctor's lines: the state of each thing.
func findings(t *testing.T, out string) map[string]string {
	t.Helper()
	states := map[string]string{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case len(f) == 3:
			states[f[1]] = f[0]
		case !strings.HasPrefix(line, "hint: ") && !strings.HasPrefix(line, "  "):
			t.Errorf("neither a finding nor a hint: %q", line)
		}
	}
	return states
}

// TestDoctorOfMachine: where sandboxes work it says so, as root and as a user.
func TestDoctorOfMachine(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		op.env = append(op.env, "BOTTLE_DOCKER="+filepath.Join(op.home, "no-docker"))
		r := op.run("bottlerun", "doctor")
		states := findings(t, r.out)
		for thing, want := range map[string]string{"backend local": "ok", "programs": "ok", "state": "ok", "backend docker": "lacks", "seccomp": "ok"} {
			if states[thing] != want {
				t.Errorf("%s: %q, wanted %q", thing, states[thing], want)
			}
		}
		if r.code != 0 || r.errors != "" {
			t.Errorf("got %v", r)
		}
	})
}

// TestDoctorOfBottle has the clients of a bottle try: those that come through, one
// that does not trust the authority, and one that does not ask the proxy. A bottle
// of the same name that runs is left alone.
func TestDoctorOfBottle(t *testing.T) {
	needCurl(t)
	op := asSelf(t)
	tools := filepath.Join(op.home, "tools")
	for name, script := range map[string]string{
		"curl": `exec /usr/bin/curl "$@"`, "git": `exec /usr/bin/git "$@"`, "python3": `exec /usr/bin/python3 "$@"`,
		"ruby": `printf '\033[31mred\n' >/proc/$PPID/fd/2; exit 1`,
		"wget": `exec /usr/bin/curl -sS --cacert /run/bottle/none.pem "$3"`, "gem": `exec /usr/bin/curl -sS --noproxy '*' "https://gem.canary.test/"`,
		"docker": "echo Docker version 1.2.3",
	} {
		op.write(filepath.Join(tools, name), "#!/bin/sh\n"+script+"\n", 0o755)
	}
	op.write(op.manifest, "name: web\nworkspace: "+op.work+"\nread_only: ["+tools+"]\negress_proxy: {routes: [{host: api.test, auth: {scheme: Bearer, token_ref: NOT_SET}}]}\n", 0o644)
	op.env = append(op.env, "NOT_SET=now")
	b := op.start("web")
	op.env = []string{"PATH=" + tools}
	r := op.run("bottlerun", "doctor", "-v", "-f", op.manifest)
	if out, code := b.sh("echo still here"); code != 0 || out != "still here\n" {
		t.Errorf("the bottle of that name: exit %d %q", code, out)
	}
	rows := clientRows(t, r.out)
	want := map[string]string{"wget": "yes no - - -", "gem": "no - - - -", "ruby": "no - - - -", "docker": "- - - - -"}
	for name, path := range map[string]string{"git": "/usr/bin/git", "python3": "/usr/bin/python3"} {
		if _, err := os.Stat(path); err == nil {
			want[name] = "yes yes"
		}
	}
	want["curl"], want["python"] = "yes yes yes yes yes", want["python3"]+" - - yes"
	delete(want, "python3")
	for name, w := range want {
		if !strings.HasPrefix(rows[name], w) {
			t.Errorf("%s: %q, wanted %q", name, rows[name], w)
		}
	}
	if r.code != 1 || !strings.Contains(r.errors, "3 of the clients in the bottle do not come through") {
		t.Errorf("got %v", r)
	}
	if strings.Contains(r.out+r.errors, "\x1b") {
		t.Errorf("a client writes on the operator's screen: %q", r.errors)
	}
	for _, hint := range []string{"hint: wget: it does not trust the bottle's authority; it says: curl: ", "hint: gem: it has not asked the proxy", "hint: docker: no engine can be reached"} {
		if !strings.Contains(r.out, hint) {
			t.Errorf("no %q in\n%s", hint, r.out)
		}
	}
	op.want(2, "the backend env is no bottle", "bottlerun", "doctor", "-backend", "env")
	op.want(2, "-network, -bind and -context are of the backend docker", "bottlerun", "doctor", "-network", "none")
	op.want(3, "no-such-folder", "bottlerun", "doctor", "-ro", filepath.Join(tools, "no-such-folder"), "web")
	op.write(filepath.Join(tools, "none.yaml"), "nonsense: 1\n", 0o644)
	op.want(1, "nonsense", "bottlerun", "doctor", "-f", filepath.Join(tools, "none.yaml"))
	if left := op.must("bottlerun", "ls"); strings.Contains(left, "doctor") || strings.Count(left, "\n") != 1 {
		t.Errorf("left: %s", left)
	}
}

// clientRows are the lines of doctor's table by client, without the versions.
func clientRows(t *testing.T, out string) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) == 7 {
			rows[f[0]] = strings.Join(f[2:], " ")
		} else if !strings.HasPrefix(line, "hint: ") {
			t.Errorf("neither a client nor a hint: %q", line)
		}
	}
	return rows
}

// TestDoctorInDocker: the same chain in containers, of which nothing stays.
func TestDoctorInDocker(t *testing.T) {
	d := newDockside(t, "")
	r := d.run("bottlerun", "doctor", "-backend", "docker", "-f", d.manifest, d.name)
	if rows := clientRows(t, r.out); r.code != 0 || rows["curl"] != "yes yes yes yes yes" {
		t.Errorf("got %v", r)
	}
	if out, _ := dockerCLI(t, "ps", "-a", "--quiet", "--filter", "name=bottle-"+d.name+"-doctor-"); out != "" {
		t.Errorf("left on the engine: %s", out)
	}
}

// TestDoctorFixes: what the manifest lacks for Java and for a Node that asks no
// proxy is written, once, and then they come through.
func TestDoctorFixes(t *testing.T) {
	op := asSelf(t)
	tools := filepath.Join(op.home, "tools")
	want := map[string]string{}
	for name, client := range map[string]string{"keytool": "java", "node": "node-fetch"} {
		if _, err := os.Stat("/usr/bin/" + name); err == nil {
			want[name] = client
			op.write(filepath.Join(tools, name), "#!/bin/sh\nexec /usr/bin/"+name+` "$@"`+"\n", 0o755)
		}
	}
	// A Java without its compiler is tried by its keytool, which is the quicker.
	op.write(filepath.Join(tools, "java"), "#!/bin/sh\necho Module jdk.compiler not found >&2\nexit 1\n", 0o755)
	if want["keytool"] == "" {
		must(t, os.Remove(filepath.Join(tools, "java")))
	}
	if len(want) == 0 {
		t.Skip("neither java nor node is in /usr/bin")
	}
	manifest := "# The manifest.\nname: web\nworkspace: " + op.work + " # here\nread_only: [" + tools + "]\n"
	op.write(op.manifest, manifest, 0o640)
	op.env = []string{"PATH=" + tools}
	r := op.run("bottlerun", "doctor", "-f", op.manifest, "-fix")
	text, err := os.ReadFile(op.manifest)
	must(t, err)
	if string(text) == manifest && r.code == 0 {
		t.Skipf("all come through as it is: %v", r)
	}
	fi, err := os.Stat(op.manifest)
	must(t, err)
	if r.code != 0 || !strings.HasPrefix(string(text), manifest+"clients:\n  - \"") || fi.Mode().Perm() != 0o640 || !strings.Contains(r.out, "\n+ clients:\n") {
		t.Errorf("-fix: %v\n%s", r, text)
	}
	after := op.run("bottlerun", "doctor", "-f", op.manifest, "-fix")
	rows := clientRows(t, after.out)
	for _, name := range want {
		if !strings.HasPrefix(rows[name], "yes yes") {
			t.Errorf("%s: %q\n%v", name, rows[name], after)
		}
	}
	if again, err := os.ReadFile(op.manifest); err != nil || string(again) != string(text) || after.code != 0 {
		t.Errorf("a second time: %v\n%v\n%s", err, after, again)
	}
	must(t, os.Remove(op.manifest)) // ./bottle.yaml
	if r := op.run("bottlerun", "doctor", "-fix", "web"); r.code != 1 || !strings.Contains(r.errors, "there is no manifest") {
		t.Errorf("without a manifest: %v", r)
	}
	op.want(2, "-fix shows a change", "bottlerun", "doctor", "-fix", "-json", "web")
}

// TestDoctorKilled: what a doctor that was killed leaves is found by gc, and while
// it runs it is not.
func TestDoctorKilled(t *testing.T) {
	op := asSelf(t)
	tools, temp := filepath.Join(op.home, "tools"), filepath.Join(op.home, "temp")
	op.write(filepath.Join(tools, "curl"), "#!/bin/sh\nexec /bin/sleep 60\n", 0o755)
	op.mkdir(temp)
	op.env = []string{"PATH=" + tools, "TMPDIR=" + temp, "BOTTLE_DOCKER=" + filepath.Join(op.home, "no-docker")}
	cmd := op.command(t.Context(), "bottlerun", "doctor", "-ro", tools, "web")
	must(t, cmd.Start())
	await(t, "the bottle of doctor", func() bool {
		found, err := filepath.Glob(filepath.Join(temp, "bottle-doctor-*", "state", "web-doctor-*", "bottle.json"))
		return err == nil && len(found) == 1
	})
	if r := op.run("bottlerun", "gc"); strings.Contains(r.out, "doctor\t") {
		t.Errorf("while it runs: %v", r)
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()
	await(t, "the end of its parts", func() bool { return strings.Contains(op.run("bottlerun", "gc").out, "doctor\t"+temp) })
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
