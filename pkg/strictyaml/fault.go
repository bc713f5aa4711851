package strictyaml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Fault is one thing that is wrong in a document, and what was wanted.
type Fault struct {
	File string `json:"file"`
	// Line and Col count from 1, Col in characters. A Line of 0 means that the
	// fault has no place in a file.
	Line int    `json:"line"`
	Col  int    `json:"col"`
	Msg  string `json:"msg"`
	Want string `json:"want"`
}

// Error is "file:line:col: what is wrong; what was wanted".
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Col)
	}
	b.WriteString(": ")
	b.WriteString(f.Msg)
	if f.Want != "" {
		b.WriteString("; ")
		b.WriteString(f.Want)
	}
	return b.String()
}

// Faults are all faults of one document, in the order of their places.
type Faults []Fault

// Error is one line per fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is fs as an error, nil when there is no fault.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// Sorted returns fs ordered by line and column; faults of one place keep their order.
func (fs Faults) Sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	return fs
}

// quoteMax is how much of a value a message repeats, in bytes.
const quoteMax = 80

// Quote is s as a message shows it: in double quotes, with control and other
// unprintable characters escaped (the values are untrusted and messages reach
// terminals), cut after 80 bytes.
func Quote(s string) string {
	if len(s) <= quoteMax {
		return strconv.Quote(s)
	}
	cut := quoteMax
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not within a UTF-8 sequence
		cut--
	}
	return strconv.Quote(s[:cut]) + "..."
}
