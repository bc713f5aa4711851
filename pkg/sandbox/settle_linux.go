package sandbox

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settleTime is how long after the agent's start its launcher and process 1 give
// back what the start took. They have next to nothing to do from then on.
const settleTime = time.Second

// Settle gives memory back, a moment after this call: the heap's, and the pages of
// the program's own file. Those are the page cache's, and come again one by one
// when they are used. Stop keeps it from happening.
func Settle() (stop func()) {
	timer := time.AfterFunc(settleTime, func() {
		debug.FreeOSMemory()
		dropProgram()
	})
	return func() { timer.Stop() }
}

// dropProgram unmaps the pages of the program's file that are in memory, where this
// process has no copies of its own among them, as a linker may have made.
func dropProgram() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	var from, to uintptr // of a mapping that may go, else 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		field := strings.Fields(sc.Text())
		switch {
		case len(field) > 4 && strings.Contains(field[0], "-"):
			from, to = 0, 0
			if len(field) > 5 && field[5] == self && (field[1] == "r-xp" || field[1] == "r--p") {
				from, to = rangeOf(field[0])
			}
		case len(field) > 1 && field[0] == "Anonymous:" && field[1] == "0" && from != 0:
			// Not the wrapper, which wants a slice.
			unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}

// rangeOf reads the addresses of a mapping; 0 when they are none.
func rangeOf(s string) (from, to uintptr) {
	a, b, _ := strings.Cut(s, "-")
	start, err := strconv.ParseUint(a, 16, 64)
	if err != nil {
		return 0, 0
	}
	end, err := strconv.ParseUint(b, 16, 64)
	if err != nil || end <= start {
		return 0, 0
	}
	return uintptr(start), uintptr(end)
}
