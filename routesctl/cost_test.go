package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestLearnCost holds what a long log costs: of a quarter of a million lines,
// every second of which an agent made up anew, under 2.5 s of processor time and
// 300 MB; what is kept does not grow with the log.
func TestLearnCost(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("-short, or the race detector, which multiplies both")
	}
	log := filepath.Join(t.TempDir(), "access.jsonl")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	const lines = 250_000
	for i := range lines {
		host, path, verdict := fmt.Sprintf("h%d.example", i%100), fmt.Sprintf("/v1/items/%d", i), `"allow","route":"*.example"`
		if i%2 == 1 {
			host, path, verdict = fmt.Sprintf("x%d.example", i/50), fmt.Sprintf("/a%d/b%d/c%d", i%11, i%101, i), `"block","code":"host-not-allowed"`
		}
		fmt.Fprintf(w, `{"time":"2026-07-28T12:00:00.123456Z","bottle":"web","id":"0b27fe13-%d","method":"GET","scheme":"https","host":"%s","port":443,"path":"%s?a\u0026b","verdict":%s,"status":200,"sent":0,"received":1234,"ms":12.345,"agent_proto":"HTTP/1.1","upstream_proto":"HTTP/1.1"}`+"\n", i, host, path, verdict)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("routesctl", "learn", "-log", log)
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("%v, %d bytes", err, len(out))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	took := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	t.Logf("%d lines: %v of processor time, %d MB", lines, took, usage.Maxrss/1024)
	if took > 2500*time.Millisecond || usage.Maxrss > 300<<10 {
		t.Errorf("%v and %d MB; wanted at most 2.5 s and 300 MB", took, usage.Maxrss/1024)
	}
}
