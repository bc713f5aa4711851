package cli

import (
	"os"
	"path/filepath"
)

// Sibling is the program prog beside the running one, so that one build goes
// together; else prog itself, to be looked for on PATH.
func Sibling(prog string) string {
	exe, err := os.Executable()
	if err != nil {
		return prog
	}
	path := filepath.Join(filepath.Dir(exe), prog)
	if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
		return path
	}
	return prog
}
