//go:build !linux

package sandbox

import "runtime"

// ThisKernel has nothing that a sandbox needs.
func ThisKernel() Kernel { return Kernel{Release: runtime.GOOS} }
