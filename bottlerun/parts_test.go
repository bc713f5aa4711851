package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestEnding: of a builder's words the end is told, as it looks on no terminal.
func TestEnding(t *testing.T) {
	var e ending
	for i := range 300_000 {
		fmt.Fprintf(&e, "line %d\n", i)
	}
	fmt.Fprint(&e, "\x1b[2Jcleared\n")
	if len(e.b) > 2*maxEnding || !bytes.HasSuffix(e.b, []byte("line 299999\n\x1b[2Jcleared\n")) {
		t.Errorf("%d bytes, ending in %q", len(e.b), e.b[len(e.b)-40:])
	}
	if got, want := linesOf(e.b, 2), "  line 299999\n  \\u{1b}[2Jcleared"; got != want {
		t.Errorf("got %q, wanted %q", got, want)
	}
	e = ending{}
	e.Write([]byte(strings.Repeat("x", 10*maxEnding)))
	if len(e.b) != maxEnding {
		t.Errorf("%d bytes", len(e.b))
	}
}
