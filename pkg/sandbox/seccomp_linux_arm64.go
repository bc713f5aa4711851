//go:build linux

package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0
)

// This architecture never had the old calls.
var (
	archDenied    []uintptr
	archModeCalls []modeCall
)
