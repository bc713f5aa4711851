package scripts

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/docker/dockertest"
	"bottle/pkg/route"
)

// What an apply asks of the steward beside the table, in this order. The first
// answer says that it has the lock.
const (
	askTable  = "read routes.yaml "
	askStatus = "read routes.yaml.status "
	askWrite  = "write routes.yaml.next "
	askSignal = "signal SIGHUP "
)

// A meddle makes an operator whose docker does something of its own: a script when
// the steward is called, asked for what begins with ask, or answers something that
// begins with answer. It sees the line in $line and may call real, the docker that
// it stands for.
type meddle struct{ start, ask, answer, script string }

func (m meddle) operator(b *box) *operator {
	b.t.Helper()
	op := b.op.with(b.t)
	dir := filepath.Join(op.home, dockertest.Name("meddle"))
	must(b.t, os.Mkdir(dir, 0o700))
	docker, err := exec.LookPath("docker")
	must(b.t, err)
	never := "#"
	text := fmt.Sprintf(`#!/bin/sh
dir=%s
real() { %s "$@"; }
[ ! -e $dir/off ] || export DOCKER_HOST=tcp://127.0.0.1:1
case "$*" in *" _steward "*) ;; *) real "$@"; exit;; esac
%s
while IFS= read -r line; do
	case $line in '%s'*) %s;; esac
	printf '%%s\n' "$line"
done | real "$@" | while IFS= read -r line; do
	case $line in '%s'*) %s;; esac
	printf '%%s\n' "$line"
done
`, dir, docker, m.start, cmp.Or(m.ask, never), m.script, cmp.Or(m.answer, never), m.script)
	cli := filepath.Join(dir, "docker")
	must(b.t, os.WriteFile(cli, []byte(text), 0o700))
	op.env = append(slices.Clone(op.env), "BOTTLE_DOCKER="+cli)
	return op
}

// TestDockerApplyKilled: an apply that is killed, wherever it is, leaves a valid
// table served and no lock held, and the next one repairs the rest.
func TestDockerApplyKilled(t *testing.T) {
	alongside(t)
	b := newBox(t, dockertest.Engine(t))
	const kill = "kill -9 $PPID; exit 1"
	asked := filepath.Join(t.TempDir(), "asked")
	for i, point := range []struct {
		what string
		meddle
	}{
		{"before the lock", meddle{start: kill}},
		{"with the lock", meddle{answer: "held", script: kill}},
		{"before the table", meddle{ask: askTable, script: kill}},
		{"with the table", meddle{ask: askStatus, script: kill}},
		{"with the proxy's status", meddle{ask: askWrite, script: kill}},
		{"within the copy", meddle{ask: askWrite, script: `echo "$line"; echo routes:; ` + kill}},
		{"after the copy", meddle{ask: askSignal, script: kill}},
		{"after the signal", meddle{ask: askStatus, script: "[ ! -e " + asked + " ] || { " + kill + "; }; : >" + asked}},
		{"with the answer", meddle{answer: "{", script: kill}},
	} {
		text := table("allowed.test", fmt.Sprintf("n%d.test", i))
		next := b.op.file("next.yaml", text)
		if point.answer == "{" {
			parsed, err := route.Parse(next, []byte(text))
			must(t, err)
			point.answer = `{"digest":"` + parsed.Digest() + `"`
		}
		start := time.Now()
		r := point.operator(b).run("routesctl", "apply", "-bottle", b.slug, next)
		if r.code != -1 {
			t.Errorf("%s: it was not killed: %v", point.what, r)
		}
		if got := b.get("https://allowed.test/"); got != "200 - hello from allowed.test" {
			t.Errorf("%s: %s", point.what, got)
		}
		if _, err := b.table(); err != nil {
			t.Errorf("%s: %v", point.what, err)
		}
		b.op.must("routesctl", "apply", "-bottle", b.slug, next)
		b.served("allowed.test", fmt.Sprintf("n%d.test", i))
		t.Logf("%s: %v", point.what, time.Since(start).Round(time.Millisecond))
	}
	b.op.must("superviser", "audit", "-bottle", b.slug, "-verify")
}

// TestDockerHalfStates: the message says which side is in which state, and the exit
// code is 3.
func TestDockerHalfStates(t *testing.T) {
	b := newBox(t, dockertest.Engine(t))
	op := b.op
	next := op.file("next.yaml", table("allowed.test", "new.test"))
	apply := []string{"apply", "-bottle", b.slug, "-wait", "300ms", next}
	t.Run("mirror", func(t *testing.T) {
		op.with(t).want(3, "pipelock unchanged, routes unchanged\nhint: fix it with 'pipemirror edit -bottle "+b.slug+"', then retry", "routesctl", append(apply[:3:3], "-mirror", "false", next)...)
	})
	t.Run("mute", func(t *testing.T) { mute(t, b, apply) })
	t.Run("interrupted", func(t *testing.T) { interrupted(t, b, next) })
	t.Run("engine gone", func(t *testing.T) { cutOff(t, b, apply) })
	t.Run("proxy dies early", func(t *testing.T) { proxyDiesEarly(t, b, apply) })
	t.Run("proxy dies", func(t *testing.T) { proxyDies(t, b, apply) })
	for _, verb := range [][]string{{"show", "-bottle", b.slug}, apply} {
		op.want(3, "the egress-proxy has ended (exited, exit code 137): no request passes, and no table is taken up\nhint: ", "routesctl", verb...)
	}
	if r := op.run("routesctl", "list", "-json"); r.code != 0 || !strings.Contains(r.out, "the egress-proxy has ended") {
		t.Errorf("list: %v", r)
	}
	b.docker("kill", b.object("agent"))
	op.want(1, "what is left of it on the engine of docker has ended\nhint: 'bottlerun gc'", "routesctl", "show", "-bottle", b.slug)
}

// mute is a proxy that runs and does not answer.
func mute(t *testing.T, b *box, apply []string) {
	b.docker("kill", "--signal", "STOP", b.object("egress-proxy"))
	r := b.op.with(t).want(3, "no answer from the proxy; the previous table is in the file again, but the proxy does not confirm it; no pipelock to change, routes unknown", "routesctl", apply...)
	if !strings.Contains(r.errors, "\nhint: ") {
		t.Errorf("no hint: %v", r)
	}
	b.docker("kill", "--signal", "CONT", b.object("egress-proxy"))
	b.served("allowed.test")
	b.op.must("routesctl", apply...)
	b.op.must("routesctl", "rollback", "-bottle", b.slug)
}

// interrupted at the terminal, which reaches all of the foreground: the previous
// table is put back before the end.
func interrupted(t *testing.T, b *box, next string) {
	proxy := b.object("egress-proxy")
	b.docker("kill", "--signal", "STOP", proxy)
	cmd := b.op.command(t.Context(), "routesctl", "apply", "-bottle", b.slug, "-wait", limit.String(), next)
	var notes lockedBuffer
	cmd.Stderr = &notes
	cmd.SysProcAttr.Setpgid = true
	must(t, cmd.Start())
	await(t, "the table is copied in", func() bool {
		_, err := b.e.File(t.Context(), proxy, "/bottle/egress-proxy/routes.yaml.next", 1<<20)
		return err == nil
	})
	must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	b.docker("kill", "--signal", "CONT", proxy)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(notes.String(), "the previous table was put back and the proxy confirmed it; no pipelock to change, routes unchanged") {
		t.Errorf("exit %d: %s", code, notes.String())
	}
	b.served("allowed.test")
}

// cutOff: the engine can no longer be asked, from the signal on.
func cutOff(t *testing.T, b *box, apply []string) {
	op := meddle{ask: askSignal, script: ": >$dir/off; exit"}.operator(b).with(t)
	r := op.want(3, "cannot be reached: ", "routesctl", apply...)
	if !strings.Contains(r.errors, "; no pipelock to change, routes unknown\nhint: once it answers, 'routesctl show -bottle "+b.slug+"'") {
		t.Errorf("got %v", r)
	}
	b.served("allowed.test")
	b.op.must("routesctl", apply...)
	b.op.must("routesctl", "rollback", "-bottle", b.slug)
}

// proxyDiesEarly: while pipelock is changed, and it is back for the next test.
func proxyDiesEarly(t *testing.T, b *box, apply []string) {
	proxy := b.object("egress-proxy")
	script := b.op.file("mirror", "#!/bin/sh\ncat >/dev/null\ndocker kill "+proxy+" >/dev/null\n")
	must(t, os.Chmod(script, 0o755))
	r := b.op.with(t).want(3, "the egress-proxy has ended (exited, exit code 137)", "routesctl", append(apply[:3:3], "-mirror", script, apply[5])...)
	if !strings.Contains(r.errors, "no pipelock to change, routes unchanged\nhint: ") {
		t.Errorf("got %v", r)
	}
	b.docker("start", proxy)
	await(t, "the proxy serves again", func() bool { _, err := b.table(); return err == nil })
	b.served("allowed.test")
}

// proxyDies before it is asked to take up the table.
func proxyDies(t *testing.T, b *box, apply []string) {
	op := meddle{ask: askSignal, script: "real kill " + b.object("egress-proxy") + " >/dev/null"}.operator(b).with(t)
	op.want(3, "the egress-proxy has ended (exited, exit code 137): no request passes; the previous table is in its file; no pipelock to change, routes unchanged\nhint: ", "routesctl", apply...)
}
