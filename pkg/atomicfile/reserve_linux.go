package atomicfile

import (
	"os"
	"syscall"
)

// reserve gives f its room on disk. Without it ext4 does so when the file is renamed
// over another one, and writes it out at once (ext4(5), auto_da_alloc), which may
// take milliseconds. A file system that cannot is none the worse.
func reserve(f *os.File, n int) {
	if n > 0 {
		syscall.Fallocate(int(f.Fd()), 0, 0, int64(n))
	}
}
