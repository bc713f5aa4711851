//go:build !linux

package atomicfile

import "os"

// reserve is for ext4.
func reserve(*os.File, int) {}
