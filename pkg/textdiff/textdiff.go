// Package textdiff compares two texts line by line.
package textdiff

import (
	"fmt"
	"strings"
)

// maxLines bounds the table that the comparison fills; beyond it a change is
// shown as all lines of old and all of new.
const maxLines = 2000

// Lines is what changes from old to new: "- " and "+ " before a line that goes
// and one that comes, "  " before those around, context of them on each side, and
// "@ N" with the number of a line of new where lines are left out before. Equal
// texts give nothing.
func Lines(old, new string, context int) []string {
	a, b := split(old), split(new)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []line
	for i, s := range b[:head] {
		all = append(all, line{' ', s, i})
	}
	all = append(all, middle(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for i, s := range b[len(b)-tail:] {
		all = append(all, line{' ', s, len(b) - tail + i})
	}
	return around(all, context)
}

// A line of the comparison; at is its place in new, or where it would be.
type line struct {
	sign byte
	text string
	at   int
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// middle compares by the longest common subsequence; at is the place of b[0].
func middle(a, b []string, at int) []line {
	var all []line
	i, j := 0, 0
	if len(a) <= maxLines && len(b) <= maxLines {
		common := table(a, b)
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				all = append(all, line{' ', b[j], at + j})
				i, j = i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				all = append(all, line{'-', a[i], at + j})
				i++
			default:
				all = append(all, line{'+', b[j], at + j})
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		all = append(all, line{'-', a[i], at + j})
	}
	for ; j < len(b); j++ {
		all = append(all, line{'+', b[j], at + j})
	}
	return all
}

// table holds the length of the longest common subsequence of a[i:] and b[j:].
func table(a, b []string) [][]int16 {
	t := make([][]int16, len(a)+1)
	cells := make([]int16, (len(a)+1)*(len(b)+1))
	for i := range t {
		t[i] = cells[i*(len(b)+1) : (i+1)*(len(b)+1)]
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				t[i][j] = t[i+1][j+1] + 1
			} else {
				t[i][j] = max(t[i+1][j], t[i][j+1])
			}
		}
	}
	return t
}

// around keeps the changes and their surroundings.
func around(all []line, context int) []string {
	keep := make([]bool, len(all))
	for i, l := range all {
		if l.sign == ' ' {
			continue
		}
		for k := max(0, i-context); k < min(len(all), i+context+1); k++ {
			keep[k] = true
		}
	}
	var out []string
	for i, l := range all {
		if !keep[i] {
			continue
		}
		if i > 0 && !keep[i-1] {
			out = append(out, fmt.Sprintf("@ %d", l.at+1))
		}
		out = append(out, string(l.sign)+" "+l.text)
	}
	return out
}
