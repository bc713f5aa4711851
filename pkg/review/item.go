// Package review is the screen on which the operator decides: what waits, what
// it would change, and what the keys do. It touches no terminal and no bottle:
// keys and news go in, lines and actions come out.
//
// All that an agent wrote passes term.Text before it becomes a line, and stands
// behind a margin of its own, so that it cannot be taken for ours.
package review

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// An Item is a proposal that waits, as the operator decides about it. Its texts
// are as they were written.
type Item struct {
	Bottle, ID    string
	Component     string
	Subject       string // what it is about: a host
	Client        string
	Justification string
	Filed         time.Time
	Level         int      // how far it reaches: 0 adds little, 3 most
	Risks         []Risk   // what it means, the worst first
	Changes       []string // what would change, as route.Diff says it
	Digest        string   // what an approval is bound to; "" when there is nothing to approve
	Fault         string   // why Digest is ""
	Narrow        *Narrow  // what the operator has left of it
}

// A Risk is one thing that an approval would mean: "write: ...".
type Risk struct {
	Level int
	Text  string
}

// Narrow is what the operator leaves of a proposal: nil lists are as proposed.
type Narrow struct{ Paths, Methods []string }

// key tells items apart.
func (it *Item) key() string { return it.Bottle + "/" + it.ID }

// Content differs when what is to be seen of an item does.
func (it *Item) Content() string {
	return fmt.Sprintf("%s %d %q %v %q %v", it.Digest, it.Level, it.Fault, it.Risks, it.Changes, it.Narrow)
}

// group is what items are folded by: the same host of the same bottle.
func (it *Item) group() string { return it.Bottle + "/" + it.Component + "/" + it.Subject }

// A row is one line of the list: an item, and how many more are folded under it.
type row struct {
	item   *Item
	folded int  // not shown, under this one
	inner  bool // shown below the first of its group
}

// order sorts what reaches furthest to the top, then what is newest.
func order(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), b.Filed.Compare(a.Filed), cmp.Compare(a.Bottle, b.Bottle), cmp.Compare(a.ID, b.ID))
	})
}

// rowsOf folds the sorted items into rows. Of a group that is open each is one.
func rowsOf(items []Item, open map[string]bool) []row {
	members := map[string][]*Item{}
	for i := range items {
		g := items[i].group()
		members[g] = append(members[g], &items[i])
	}
	var rows []row
	for i := range items {
		it := &items[i]
		all := members[it.group()]
		if all[0] != it {
			continue
		}
		if !open[it.group()] {
			rows = append(rows, row{item: it, folded: len(all) - 1})
			continue
		}
		for j, m := range all {
			rows = append(rows, row{item: m, inner: j > 0})
		}
	}
	return rows
}
