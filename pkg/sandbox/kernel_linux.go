package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// ThisKernel asks the kernel what it has.
func ThisKernel() Kernel {
	var k Kernel
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		k.Release = unix.ByteSliceToString(u.Release[:])
		fmt.Sscanf(k.Release, "%d.%d", &k.Major, &k.Minor)
	}
	k.Landlock = landlockABI()
	// EFAULT: the filter is looked for, so filters are known (seccomp(2)).
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0)
	k.Seccomp = e == unix.EFAULT
	k.AppArmor = readSetting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1"
	k.Container = containerMark(readSetting)
	return k
}
