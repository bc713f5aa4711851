package scripts

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStarts: starts and stops in a row leave no process, mount, namespace or
// file behind, however each ends. BOTTLE_STARTS asks for more of them.
func TestStarts(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) { starts(t, op, asked("BOTTLE_STARTS", 9)) })
}

// asked is the number in a variable of the environment, else otherwise.
func asked(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func starts(t *testing.T, op *operator, n int) {
	adopt(t)
	op.direct("")
	clean := listing(t, op.work)
	one := func(i int) time.Duration {
		switch i % 9 {
		case 4:
			op.stopped("many")
		case 7:
			op.killedEarly("many")
		default:
			r := op.run("bottlerun", "run", "-f", op.manifest, "many", "--", "true")
			if r.code != 0 {
				t.Fatalf("start %d: %v", i, r)
			}
			return r.took
		}
		return 0
	}
	one(0)
	before := listing(t, op.home)
	var took []time.Duration
	for i := range n {
		if d := one(i + 1); d > 0 {
			took = append(took, d)
		}
		nobody(t)
	}
	one(0) // of an end in order, whatever the last one was
	nobody(t)
	if after := listing(t, op.home); !slices.Equal(before, after) {
		t.Errorf("files before and after:\n%s\n%s", before, after)
	}
	if left := listing(t, op.work); !slices.Equal(clean, left) {
		t.Errorf("the workspace was %s, and is %s", clean, left)
	}
	m := slices.DeleteFunc(mounts(t, op.home), func(line string) bool { return !strings.Contains(line, op.home) })
	if len(m) > 0 { // other tests have containers
		t.Errorf("mounts are left: %q", m)
	}
	slices.Sort(took)
	t.Logf("%d starts; 'run -- true': least %v, median %v, p90 %v", n, took[0].Round(100*time.Microsecond),
		took[len(took)/2].Round(100*time.Microsecond), took[len(took)*9/10].Round(100*time.Microsecond))
}

// direct writes a manifest without a second proxy, for the origin by its address.
func (op *operator) direct(more string) (url string) {
	_, port, _ := strings.Cut(op.origin.addr, ":")
	op.write(op.manifest, fmt.Sprintf("workspace: %s\negress_proxy:\n  upstream_ca: origin-ca.pem\n  routes: [{host: 127.0.0.1, ports: [%s]}]\n  allow_private: [127.0.0.0/8]\n%s",
		op.work, port, more), 0o644)
	return "https://127.0.0.1:" + port
}

// stopped starts a bottle whose agent stays, and ends it as the operator does.
func (op *operator) stopped(name string) {
	op.t.Helper()
	cmd := op.command(context.Background(), "bottlerun", "run", "-f", op.manifest, name, "--", "sh", "-c", "echo up; exec sleep 1000")
	out, err := cmd.StdoutPipe()
	must(op.t, err)
	must(op.t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		op.t.Errorf("the agent says %q, %v", line, err)
	}
	op.must("bottlerun", "stop", name)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+int(unix.SIGTERM) {
		op.t.Errorf("stopped: exit %d", code)
	}
}

// killedEarly kills a launcher in the middle of a start: what it has begun is for
// the next one to clean up.
func (op *operator) killedEarly(name string) {
	op.t.Helper()
	cmd := op.command(context.Background(), "bottlerun", "run", "-f", op.manifest, name, "--", "sleep", "1000")
	must(op.t, cmd.Start())
	for end := time.Now().Add(limit); ; { // at once, and not after a pause
		if _, err := os.Stat(op.dir(name).Record()); err == nil {
			break
		}
		if time.Now().After(end) {
			op.t.Fatal("there is no record")
		}
	}
	must(op.t, cmd.Process.Kill())
	cmd.Wait()
}

// adopt makes this process the parent of all that a test's processes leave behind
// (prctl(2), PR_SET_CHILD_SUBREAPER).
func adopt(t *testing.T) {
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	t.Cleanup(func() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
}

// nobody waits until this process has no child left. With the last process of a
// namespace that is gone too: nothing else holds one here.
func nobody(t *testing.T) {
	t.Helper()
	var left []string
	defer func() {
		if t.Failed() {
			t.Logf("left: %q", left)
		}
	}()
	await(t, "all processes have ended", func() bool {
		left = children(t)
		return len(left) == 0
	})
}

// children are this process's, once those that have ended are reaped.
func children(t *testing.T) (list []string) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	must(t, err)
	if len(lists) == 0 {
		t.Skip("this kernel does not list the children of a process")
	}
	for _, path := range lists {
		pids, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		for _, field := range strings.Fields(string(pids)) {
			pid, err := strconv.Atoi(field)
			must(t, err)
			if got, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil); got == pid {
				continue
			}
			line, _ := os.ReadFile("/proc/" + field + "/cmdline")
			list = append(list, field+" "+string(line))
		}
	}
	return list
}

// listing is the files below dir, with their kinds.
func listing(t *testing.T, dir string) (list []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			list = append(list, d.Type().String()+" "+strings.TrimPrefix(path, dir))
		}
		return err
	}))
	return list
}

// TestManyAtOnce: bottles run beside each other, each with a proxy of its own.
// BOTTLE_AT_ONCE asks for more of them.
func TestManyAtOnce(t *testing.T) {
	needCurl(t)
	asEach(t, func(t *testing.T, op *operator) { manyAtOnce(t, op, asked("BOTTLE_AT_ONCE", 6)) })
}

func manyAtOnce(t *testing.T, op *operator, n int) {
	adopt(t)
	url := op.direct("")
	start := time.Now()
	all := make([]*talker, n)
	for i := range all {
		all[i] = op.talk(fmt.Sprintf("one-%d", i), "while read path; do curl -sS -m 15 --noproxy '' "+url+"/$path || echo failed; done")
	}
	each := func(what string, do func(i int, b *talker) error) {
		var wg sync.WaitGroup
		for i, b := range all {
			wg.Go(func() {
				if err := do(i, b); err != nil {
					t.Errorf("%s: bottle %d: %v\n%s", what, i, err, b.notes.String())
				}
			})
		}
		wg.Wait()
	}
	want := "hello from " + strings.TrimPrefix(url, "https://") + "\n"
	ask := func(what string) {
		each(what, func(i int, b *talker) error {
			fmt.Fprintf(b.in, "%s-%d\n", what, i)
			got, err := b.out.ReadString('\n')
			if got != want {
				return fmt.Errorf("the origin says %q, %v", got, err)
			}
			return nil
		})
	}
	ask("first")
	up := time.Since(start)
	ask("second") // all of them run now
	t.Logf("%d bottles at once after %v; their %s", n, up.Round(time.Millisecond), memory())
	each("end", func(_ int, b *talker) error {
		b.in.Close()
		return b.cmd.Wait()
	})
	nobody(t)
	for i := range all {
		log, err := os.ReadFile(op.dir(fmt.Sprintf("one-%d", i)).AccessLog())
		must(t, err)
		if n := strings.Count(string(log), `"route":"127.0.0.1"`); n != 2 || !strings.Contains(string(log), fmt.Sprintf(`"/first-%d"`, i)) || !strings.Contains(string(log), fmt.Sprintf(`"/second-%d"`, i)) {
			t.Errorf("the proxy of bottle %d has logged %s", i, log)
		}
	}
	if got := len(op.origin.requests()); got != 2*n {
		t.Errorf("%d requests came; want %d", got, 2*n)
	}
}

// A talker is a bottle with a line in and a line out.
type talker struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	notes lockedBuffer
}

// talk starts one, in a workspace of its own.
func (op *operator) talk(name, script string) *talker {
	op.t.Helper()
	work := filepath.Join(op.home, "src", name)
	op.mkdir(work)
	b := &talker{cmd: op.command(context.Background(), "bottlerun", "run", "-f", op.manifest, "-dir", work, name, "--", "sh", "-c", script)}
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		b.in, err = b.cmd.StdinPipe()
	}
	must(op.t, err)
	b.out, b.cmd.Stderr = bufio.NewReader(out), &b.notes
	must(op.t, b.cmd.Start())
	op.t.Cleanup(func() { b.in.Close(); b.cmd.Process.Kill() })
	return b
}

// memory is what all descendants of this process take, where it can be read: each
// page that several have counts once (proc(5), smaps_rollup).
func memory() string {
	parent := map[string]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, _ := os.ReadFile(path)
		if f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:])); len(f) > 1 {
			parent[filepath.Base(filepath.Dir(path))] = f[1]
		}
	}
	own, processes, kib := strconv.Itoa(os.Getpid()), 0, 0
	for pid := range parent {
		up := pid
		for up != "" && up != own {
			up = parent[up]
		}
		if up == "" || pid == own {
			continue
		}
		processes++
		data, _ := os.ReadFile("/proc/" + pid + "/smaps_rollup")
		for line := range strings.Lines(string(data)) {
			var n int
			if _, err := fmt.Sscanf(line, "Pss: %d kB", &n); err == nil {
				kib += n
			}
		}
	}
	return fmt.Sprintf("%d processes take %d MiB", processes, kib>>10)
}
