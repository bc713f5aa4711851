package mirror

import (
	"bytes"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// edits finds where the text must change for c.
func (l *list) edits(c Change) ([]edit, error) {
	switch {
	case l.key == nil:
		return l.addKey(c.Added)
	case l.value.Kind == yaml.ScalarNode: // null
		return l.fillNull(c.Added)
	case l.value.Style&yaml.FlowStyle == 0:
		return l.blockEdits(c)
	case len(l.value.Content) == 0:
		return l.fillEmpty(c.Added)
	}
	return l.flowEdits(c)
}

// addKey makes the list where there is none: at the end of the file, or first
// in a mapping in braces or further down.
func (l *list) addKey(names []string) ([]edit, error) {
	if p := l.parent; p != nil && len(p.Content) > 0 && (p != l.root || p.Style&yaml.FlowStyle != 0) {
		at := l.offset(p.Content[0])
		if p.Style&yaml.FlowStyle != 0 {
			return []edit{{at, at, fmt.Sprintf("%q: [%s], ", l.name, quoteAll(names))}}, nil
		}
		text := fmt.Sprintf("%s: [%s]", l.name, quoteAll(names))
		return []edit{{at, at, text + l.newline() + strings.Repeat(" ", p.Content[0].Column-1)}}, nil
	}
	if l.root != nil && l.root.Style&yaml.FlowStyle != 0 {
		at := l.offset(l.root) + 1
		return []edit{{at, at, fmt.Sprintf("%q: [%s]", l.name, quoteAll(names))}}, nil
	}
	nl, indent, end := l.newline(), "", len(l.data)
	if l.root != nil && len(l.root.Content) > 0 {
		indent = strings.Repeat(" ", max(l.root.Content[0].Column-1, 0))
	}
	text := indent + l.name + ":" + nl + blockItems(indent+"  - ", nl, names)
	if end > 0 && l.data[end-1] != '\n' {
		text = nl + text
	}
	return []edit{{end, end, text}}, nil
}

// fillNull replaces "null", "~" or nothing after the key.
func (l *list) fillNull(names []string) ([]edit, error) {
	if l.value.Value != "" {
		start, end, ok := l.end(l.value)
		if !ok {
			return nil, l.unclear(l.value)
		}
		return []edit{{start, end, "[" + quoteAll(names) + "]"}}, nil
	}
	_, end, ok := l.end(l.key)
	colon := bytes.IndexByte(l.data[end:], ':')
	if !ok || colon < 0 {
		return nil, l.unclear(l.key)
	}
	at := end + colon + 1
	return []edit{{at, at, " [" + quoteAll(names) + "]"}}, nil
}

// fillEmpty puts names between the brackets of [].
func (l *list) fillEmpty(names []string) ([]edit, error) {
	at := l.offset(l.value)
	if at < 0 || at >= len(l.data) || l.data[at] != '[' {
		return nil, l.unclear(l.value)
	}
	return []edit{{at + 1, at + 1, quoteAll(names)}}, nil
}

// blockEdits works on whole lines: an entry taken off goes with its line.
func (l *list) blockEdits(c Change) ([]edit, error) {
	var edits []edit
	items := l.value.Content
	for i, n := range items {
		removed, last := l.gone[n.Value], i == len(items)-1
		if !removed && !last {
			continue
		}
		from, to, prefix, ok := l.itemLines(n)
		if !ok {
			return nil, l.unclear(n)
		}
		switch {
		case removed && last:
			edits = append(edits, edit{from, to, blockItems(prefix, l.newline(), c.Added)})
		case removed:
			edits = append(edits, edit{from, to, ""})
		default:
			edits = append(edits, edit{to, to, l.linesAfter(to, prefix, c.Added)})
		}
	}
	return edits, nil
}

// itemLines are the lines of the entry n of a block list, and what stands before
// it in the first of them: blanks, a dash, blanks.
func (l *list) itemLines(n *yaml.Node) (from, to int, prefix string, ok bool) {
	start, end, ok := l.end(n)
	if !ok {
		return 0, 0, "", false
	}
	from, _ = l.lineAround(start)
	_, to = l.lineAround(end)
	prefix = string(l.data[from:start])
	return from, to, prefix, strings.Trim(prefix, " \t") == "-"
}

// linesAfter is one line per name, to stand at the offset, which ends a line or
// the file.
func (l *list) linesAfter(off int, prefix string, names []string) string {
	text := blockItems(prefix, l.newline(), names)
	if text != "" && l.data[off-1] != '\n' {
		return l.newline() + text
	}
	return text
}

// flowEdits works between brackets: what stands between two entries goes with
// the first of them.
func (l *list) flowEdits(c Change) ([]edit, error) {
	var edits []edit
	kept := -1 // end of the last entry that stays
	first, after := -1, -1
	for i, n := range l.value.Content {
		start, end, ok := l.end(n)
		if !ok {
			return nil, l.unclear(n)
		}
		if i == 0 {
			first = start
		}
		after = end
		if !l.gone[n.Value] {
			if gap := l.removedBefore(i); gap >= 0 && kept < 0 {
				edits = append(edits, edit{first, start, ""})
			} else if gap >= 0 {
				edits = append(edits, edit{l.startOf(gap), start, ""})
			}
			kept = end
		}
	}
	if kept < 0 {
		return []edit{{first, after, quoteAll(c.Added)}}, nil
	}
	text := ""
	if len(c.Added) > 0 {
		text = ", " + quoteAll(c.Added)
	}
	return append(edits, edit{kept, after, text}), nil
}

// removedBefore is the index of the first entry of the run of removed ones that
// ends just before i, -1 when the entry before i stays.
func (l *list) removedBefore(i int) int {
	run := -1
	for j := i - 1; j >= 0 && l.gone[l.value.Content[j].Value]; j-- {
		run = j
	}
	return run
}

func (l *list) startOf(i int) int { return l.offset(l.value.Content[i]) }

// unclear is the fault for a spelling that is not edited.
func (l *list) unclear(n *yaml.Node) error {
	return l.at(n, l.name+" is written in a way that is not edited here", "wanted one plain entry per line\nhint: rewrite the list by hand once, as \"- host\" lines")
}
