package sandbox

// A Kernel is what this system's kernel has of what a sandbox uses where it can.
type Kernel struct {
	Release      string // as uname(2) says
	Major, Minor int
	Landlock     int    // the ABI of landlock(7), 0 where there is none
	Seccomp      bool   // filters of system calls
	AppArmor     bool   // it lets only profiled programs make user namespaces
	Container    string // the mark by which this seems to be a container or a bottle already; "" for none
}

// AtLeast reports whether the release is that or a later one.
func (k Kernel) AtLeast(major, minor int) bool {
	return k.Major > major || k.Major == major && k.Minor >= minor
}
