package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process as /proc/PID/stat shows it (proc_pid_stat(5)).
type process struct {
	pid, session int
	ticks        int64 // user and system time, its own and that of children it waited for
}

// tick is the unit of times in /proc: USER_HZ is 100 on every system that Go
// runs on.
const tick = time.Second / 100

func readProcess(pid int) (process, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The name, in parentheses, may hold anything.
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 15 {
		return process{}, false
	}
	p := process{pid: pid, session: int(number(f[3]))}
	for _, i := range []int{11, 12, 13, 14} {
		p.ticks += number(f[i])
	}
	return p, true
}

func number(b []byte) int64 {
	n, _ := strconv.ParseInt(string(b), 10, 64)
	return n
}

// session lists the processes of a session: each target is started in one of
// its own, which what it starts belongs to as well.
func session(id int) (ps []process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, err := strconv.Atoi(filepath.Base(d))
		if err != nil || pid < id {
			continue
		}
		if p, ok := readProcess(pid); ok && p.session == id {
			ps = append(ps, p)
		}
	}
	return ps
}

// cpuTime is CPU time by two clocks: stat is complete and counts in ticks of 10
// ms, sched is exact and forgets threads that have ended.
type cpuTime struct{ stat, sched time.Duration }

// cpuOf is the CPU time of a session so far.
func cpuOf(id int) (c cpuTime) {
	for _, p := range session(id) {
		c.stat += time.Duration(p.ticks) * tick
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(p.pid) + "/task/*/schedstat")
		for _, t := range tasks {
			data, _ := os.ReadFile(t)
			if f := bytes.Fields(data); len(f) > 0 {
				c.sched += time.Duration(number(f[0]))
			}
		}
	}
	return c
}

// since is the CPU time between from and c: by the exact clock where the
// complete one agrees.
func (c cpuTime) since(from cpuTime) time.Duration {
	stat, sched := c.stat-from.stat, c.sched-from.sched
	if (stat - sched).Abs() <= 4*tick+stat/50 {
		return sched
	}
	return stat
}

// residentKiB is the memory of a session: the sum of VmRSS, in which pages that
// processes share count for each.
func residentKiB(id int) (kib int64) {
	for _, p := range session(id) {
		data, _ := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/status")
		for line := range strings.Lines(string(data)) {
			if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kib += number([]byte(strings.Fields(v)[0]))
			}
		}
	}
	return kib
}

func selfCPU() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machineBusy is the CPU time that the whole machine has used.
func machineBusy() (busy time.Duration) {
	data, _ := os.ReadFile("/proc/stat")
	f := strings.Fields(string(data))
	for _, i := range []int{1, 2, 3, 6, 7, 8} { // user nice system irq softirq steal
		if i < len(f) {
			busy += time.Duration(number([]byte(f[i]))) * tick
		}
	}
	return busy
}

// raiseFiles allows as many descriptors as may be, here and in what is started.
func raiseFiles() {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) == nil {
		r.Cur = r.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
	}
}

// machine is a description without names: cores, processor, kernel, Go.
func machine() string {
	model := "unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	if _, after, ok := strings.Cut(string(info), "model name"); ok {
		line, _, _ := strings.Cut(after, "\n")
		model = strings.NewReplacer("(R)", "", "(TM)", "").Replace(strings.Trim(line, " \t:"))
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kernel, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	return strconv.Itoa(runtime.NumCPU()) + " cores (" + model + "), Linux " + kernel + ", " + runtime.Version()
}
