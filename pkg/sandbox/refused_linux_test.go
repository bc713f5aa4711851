package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// attacker is for an agent that tries what must be refused, in tests of one part.
// The one that tries all is a program of its own, scripts/testdata/hostile.
type attacker struct{ failed int }

// refused prints "NAME: ok REASON" where err is one of want, else "NAME: ESCAPE".
func (a *attacker) refused(name string, err error, want ...error) {
	for _, w := range want {
		if errors.Is(err, w) {
			fmt.Printf("%s: ok %v\n", name, err)
			return
		}
	}
	a.failed = 1
	fmt.Printf("%s: ESCAPE got %v, want %v\n", name, err, want)
}

// descriptors: nothing of another's is open.
func (a *attacker) descriptors() {
	for fd := 3; fd < 64; fd++ {
		// The Go runtime of this very agent opens some.
		link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err == nil && !strings.HasPrefix(link, "anon_inode:[event") && !strings.HasPrefix(link, "/sys/fs/cgroup/cpu") {
			a.refused(fmt.Sprint("descriptor ", fd, " ", link), nil, unix.EBADF)
		}
	}
}

func call(nr uintptr, args ...uintptr) error {
	var x [3]uintptr
	copy(x[:], args)
	if _, _, e := unix.Syscall(nr, x[0], x[1], x[2]); e != 0 {
		return e
	}
	return nil
}

// landlockScopes: the kernel has the scopes of landlockScope.
func landlockScopes() bool {
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return e == 0 && abi >= 6
}
