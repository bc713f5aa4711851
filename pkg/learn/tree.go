package learn

import (
	"slices"
	"strings"
)

// Limits of a list that a person reads.
const (
	maxChildren = 8  // names in one folder; more of them are that folder
	maxPrefixes = 12 // of one host; more are cut one segment shorter
	maxDepth    = 6  // segments of a prefix
)

// A tree is the paths that were asked of one host, by their segments. It grows
// with the number of names that a person would list and not with the log: a
// folder with more becomes the prefix for all in it.
type tree struct {
	root  node
	depth int // segments that are kept; 0 is maxDepth
	leaf  int // about how many prefixes there are
}

type node struct {
	name  string
	kids  []*node
	whole bool // a prefix: all below is let through
}

// add takes an absolute path that a list can hold.
func (t *tree) add(path string) {
	n, depth := &t.root, t.limit()
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i, name := range segments {
		if n.whole {
			return
		}
		if name == "" || i == depth || i > 0 && isID(name) {
			break
		}
		kid := n.kid(name)
		if kid == nil {
			if len(n.kids) == maxChildren {
				break
			}
			kid = &node{name: name}
			n.kids = append(n.kids, kid)
			t.leaf++
		}
		n = kid
	}
	n.whole, n.kids = true, nil
	if t.leaf > 64*maxPrefixes { // in between, so that it stays small
		t.fold()
	}
}

func (t *tree) limit() int {
	if t.depth == 0 {
		return maxDepth
	}
	return t.depth
}

// fold cuts the tree one segment shorter until few prefixes are left.
func (t *tree) fold() {
	for depth := t.limit(); ; depth-- {
		if t.leaf = t.root.leaves(); t.leaf <= maxPrefixes || depth == 0 {
			return
		}
		t.depth = max(depth-1, 1)
		t.root.cut(depth - 1)
	}
}

func (n *node) kid(name string) *node {
	if i := slices.IndexFunc(n.kids, func(k *node) bool { return k.name == name }); i >= 0 {
		return n.kids[i]
	}
	return nil
}

func (n *node) leaves() int {
	if n.whole {
		return 1
	}
	sum := 0
	for _, k := range n.kids {
		sum += k.leaves()
	}
	return sum
}

// cut makes what lies depth segments below n a prefix.
func (n *node) cut(depth int) {
	if depth == 0 {
		n.whole, n.kids = true, nil
	}
	for _, k := range n.kids {
		k.cut(depth - 1)
	}
}

// prefixes are the paths as a list of a route, sorted.
func (t *tree) prefixes() []string {
	t.fold()
	var list []string
	t.root.walk("", &list)
	slices.Sort(list)
	return list
}

func (n *node) walk(path string, list *[]string) {
	if n.whole {
		*list = append(*list, max(path, "/"))
		return
	}
	for _, k := range n.kids {
		k.walk(path+"/"+k.name, list)
	}
}

// isID tells a segment that names one thing of many: a number, a UUID, a hash, a
// long random word.
func isID(s string) bool {
	var digits, hex, letters int
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
			hex++
		case 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F':
			hex++
			letters++
		case 'g' <= c && c <= 'z' || 'G' <= c && c <= 'Z':
			letters++
		case c == '-' || c == '_':
			hex++
		}
	}
	switch {
	case digits == len(s): // a number
		return true
	case hex == len(s) && len(s) >= 7 && digits > 0 && !strings.Contains(s, "_"): // a hash, a UUID, a date
		return true
	case len(s) > 64:
		return true
	}
	return len(s) >= 20 && digits >= 4 && letters >= 4 && !strings.ContainsAny(s, ".")
}
