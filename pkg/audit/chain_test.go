package audit

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestVerifyFindsAnyChange changes one byte, removes, doubles or moves lines of a
// log, at random and reproducibly: the chain, or the head that was kept, shows it.
func TestVerifyFindsAnyChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	const n = 12
	for i := range n {
		if err := Append(path, Entry{Operator: "op", Decision: "approved", Proposal: fmt.Sprint(i), Before: "routes: []\n"}); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := Verify(path)
	if err != nil || kept.Lines != n {
		t.Fatal(kept, err)
	}
	r := rand.New(rand.NewPCG(5, 5))
	for range 400 {
		bad, how := tamper(r, bytes.SplitAfter(bytes.TrimSuffix(bytes.Clone(good), nil), []byte{'\n'})[:n])
		if bytes.Equal(bad, good) {
			continue
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		sum, err := Verify(path)
		var line *BadLine
		if err == nil && sum == kept || err != nil && !errors.As(err, &line) {
			t.Fatalf("%s: got %+v, %v", how, sum, err)
		}
		// Only the end can be cut or changed without a break in the chain.
		if err == nil && how != "changed a byte" && how != "removed" {
			t.Fatalf("%s: the chain is whole", how)
		}
	}
}

// tamper changes a log of lines in one way.
func tamper(r *rand.Rand, lines [][]byte) ([]byte, string) {
	i, j := r.IntN(len(lines)), r.IntN(len(lines))
	switch r.IntN(4) {
	case 0:
		all := bytes.Join(lines, nil)
		all[r.IntN(len(all))] ^= byte(1 + r.IntN(255))
		return all, "changed a byte"
	case 1:
		return bytes.Join(append(lines[:i:i], lines[i+1:]...), nil), "removed"
	case 2:
		double := append(append(lines[:i:i], lines[i]), lines[i:]...)
		return bytes.Join(double, nil), "doubled"
	}
	lines[i], lines[j] = lines[j], lines[i]
	return bytes.Join(lines, nil), "swapped"
}
