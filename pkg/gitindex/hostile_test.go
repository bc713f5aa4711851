package gitindex

import (
	"encoding/binary"
	"testing"
)

// TestLongNames: a name that no path can have is refused, not handed on again and
// again, each time one byte longer, which takes minutes for an index of some megabytes.
func TestLongNames(t *testing.T) {
	const entries = 1000
	data := binary.BigEndian.AppendUint32([]byte("DIRC\x00\x00\x00\x04"), entries)
	for i := range entries {
		data = append(data, make([]byte, statSize+20)...)
		data = append(data, longName>>8, longName&0xff, 0) // keeps all of the name before
		if i == 0 {
			data = append(data, make([]byte, 1<<20)...)
			for j := range 1 << 20 {
				data[len(data)-1-j] = 'a'
			}
		}
		data = append(data, 'a', 0)
	}
	longest := 0
	err := Entries(append(data, make([]byte, 20)...), func(path, _ []byte) { longest = max(longest, len(path)) })
	if err == nil || longest > maxName {
		t.Errorf("a name of %d bytes was handed on, %v", longest, err)
	}
}
