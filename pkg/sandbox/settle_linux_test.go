package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDropProgram: pages of the program's file are given back, and what they held
// is there when it is needed.
func TestDropProgram(t *testing.T) {
	before := fileMemory(t)
	dropProgram()
	if after := fileMemory(t); after > before-512 {
		t.Errorf("%d kB of files were in memory, and %d are", before, after)
	}
	if got := fmt.Sprintf("%v %x", []string{"still"}, 255); got != "[still] ff" {
		t.Errorf("got %q", got)
	}
}

// fileMemory is RssFile of proc(5)'s status, in kB.
func fileMemory(t *testing.T) (n int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if _, err := fmt.Sscanf(line, "RssFile: %d kB", &n); err == nil {
			return n
		}
	}
	t.Skip("this kernel does not tell")
	return 0
}
