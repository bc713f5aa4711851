package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// loadStart: a proxy answers soon after it was started, and is small then.
func loadStart(t *testing.T, program string) {
	dir := t.TempDir()
	newAuthority(t, dir, "ca")
	if err := os.WriteFile(filepath.Join(dir, "routes.yaml"), []byte("routes: [{host: localhost}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Other work on the machine delays a start, and does not make one fast.
	first := medianStart(t, program, dir)
	for tries := 1; tries < 3 && first.slow(); tries++ {
		again := medianStart(t, program, dir)
		first.after, first.cpu = min(first.after, again.after), min(first.cpu, again.cpu)
	}
	within(t, "the first answer in ms after exec", float64(first.after.Microseconds())/1000, 20)
	within(t, "processor time until then in ms, the mean", float64(first.cpu.Microseconds())/1000, 20)
	// 9.8 where this was written; how much of the program's file is mapped at once
	// differs from kernel to kernel.
	within(t, "VmRSS in MiB", float64(first.rss)/1024, 12)
}

// A firstAnswer is what the first one took.
type firstAnswer struct {
	after, cpu time.Duration
	rss        int // kB
}

func (f firstAnswer) slow() bool {
	return !raceEnabled && (f.after > 20*time.Millisecond || f.cpu > 20*time.Millisecond)
}

// medianStart is the median of ten starts, but of the time the least, which other
// work on the machine lengthens, and the mean of processor time, which
// some kernels count in whole ticks.
func medianStart(t *testing.T, program, dir string) firstAnswer {
	t.Helper()
	var after, rss []int
	var cpu time.Duration
	for range scaled(10, 10, 2) {
		f := timeStart(t, program, dir)
		after, rss = append(after, int(f.after)), append(rss, f.rss)
		cpu += f.cpu
	}
	median := func(v []int) int { slices.Sort(v); return v[len(v)/2] }
	return firstAnswer{time.Duration(slices.Min(after)), cpu / time.Duration(len(after)), median(rss)}
}

func timeStart(t *testing.T, program, dir string) (f firstAnswer) {
	t.Helper()
	ln := lendable(t)
	cmd := exec.Command(program, "-listen", "fd:3", "-routes", "routes.yaml", "-ca-cert", "ca.pem", "-ca-key", "ca-key.pem")
	cmd.Dir, cmd.ExtraFiles = dir, []*os.File{ln.file}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := loaded{process: process{cmd}, addr: ln.addr}
	c := l.client(t, false)
	c.Timeout = time.Minute
	r, err := c.Get("http://_egress-proxy.local/healthz")
	if err == nil {
		_, err = io.ReadAll(r.Body)
		r.Body.Close()
	}
	f.after = time.Since(start)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Error(r, err)
	}
	f.rss = l.status(t, "VmRSS")
	cmd.Process.Kill()
	cmd.Wait()
	f.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return f
}
