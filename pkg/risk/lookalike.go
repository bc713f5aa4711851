package risk

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"bottle/pkg/route"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// A name may be chosen to be taken for another one. What is looked for is modest,
// so that people go on reading it: letters that are not ASCII, and names that differ
// from one of the table's by what an eye passes over. Names below one registered
// domain have one owner, and are never held against each other.

// Name is what there is to say of a host beside those that t has routes for.
func Name(host string, t *route.Table) []Risk {
	var l list
	n := newName(host)
	l.notASCII(n.host)
	found := 0
	for i := range t.Routes {
		known := strings.TrimPrefix(t.Routes[i].Host, "*.")
		other := n.mistakenFor(known)
		if other == "" {
			continue
		}
		if found++; found > mostAlike {
			break
		}
		l.add(High, "lookalike: %s looks like %s, which is in the table; whoever has %s need not have %s", n.host, known, other, n.own)
	}
	return l
}

// mostAlike is how many lookalikes are named.
const mostAlike = 3

// notASCII is about a name of which a part is written in another alphabet.
func (l *list) notASCII(host string) {
	if !strings.Contains("."+host, ".xn--") {
		return
	}
	text, err := idna.ToUnicode(host)
	if err != nil {
		l.add(High, "not ASCII: %s is no valid name in Unicode (%v)", host, err)
		return
	}
	level, letters := Medium, "signs that are no letters"
	for _, label := range strings.Split(text, ".") {
		if s := scripts(label); len(s) > 0 {
			letters = strings.Join(s, " and ") + " letters"
			if mixed(s) {
				level = High
				break
			}
		}
	}
	l.add(level, "not ASCII: %s is %s, with %s: it may look like another name", host, spelled(text), letters)
}

// spelled is text with the numbers of its characters that are not ASCII: what they
// look like is what must not be trusted.
func spelled(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

// scripts are those of a label's letters, sorted; none of one in ASCII.
func scripts(label string) []string {
	var found []string
	foreign := false
	for _, r := range label {
		foreign = foreign || r >= 0x80
		for name, table := range unicode.Scripts {
			if unicode.Is(table, r) && name != "Common" && name != "Inherited" && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	if !foreign {
		return nil
	}
	slices.Sort(found)
	return found
}

// together are scripts that one language writes in one word.
var together = [][]string{{"Han", "Hiragana", "Katakana"}, {"Han", "Hangul"}, {"Bopomofo", "Han"}}

// mixed tells of scripts that no language mixes (UTS 39, highly restrictive: one of
// the sets above goes with Latin).
func mixed(scripts []string) bool {
	if len(scripts) < 2 {
		return false
	}
	return !slices.ContainsFunc(together, func(set []string) bool {
		return !slices.ContainsFunc(scripts, func(s string) bool { return s != "Latin" && !slices.Contains(set, s) })
	})
}

// A name is a host as it is held against others, of which there may be many.
type name struct {
	host, own string
	shape     string   // of host, with Latin letters for those drawn like them
	end       int      // where the public suffix of host begins
	labels    int      // of own
	within    []string // domains that host has in it and does not belong to
}

func newName(host string) *name {
	n := &name{host: strings.TrimPrefix(host, "*.")}
	if n.own = owned(n.host); n.own == "" {
		return n
	}
	n.shape, n.labels = latin(n.host), strings.Count(n.own, ".")+1
	first, _, _ := strings.Cut(n.own, ".")
	n.end = len(n.host) - len(n.own) + len(first)
	before := strings.TrimSuffix(strings.TrimSuffix(n.host, n.own), ".")
	for rest := before; rest != ""; _, rest, _ = strings.Cut(rest, ".") {
		for part := rest; strings.Contains(part, "."); part = part[:strings.LastIndexByte(part, '.')] {
			// Under a suffix that the list knows: "docs.api" is no domain.
			if _, known := publicsuffix.PublicSuffix(part); known && owned(part) == part {
				n.within = append(n.within, part)
			}
		}
	}
	return n
}

// mistakenFor is the domain of the known host if n may be taken for that and has
// another owner.
func (n *name) mistakenFor(known string) (other string) {
	if n.own == "" || known == n.host {
		return ""
	}
	near := n.resembles(known)
	if !near && len(n.within) == 0 {
		return ""
	}
	other = owned(known)
	if other == n.own || !near && !slices.Contains(n.within, other) {
		return ""
	}
	return other
}

// resembles compares the whole names, and the domains alone.
func (n *name) resembles(known string) bool {
	shape := latin(known)
	own, other := lastLabels(n.shape, n.labels), lastLabels(shape, n.labels)
	if sameShape(own, other) || sameShape(n.shape, shape) {
		return true
	}
	if n.shape != n.host || shape != known {
		return false // places in one are none in the other
	}
	first := n.end - (len(n.host) - len(own))
	return min(first, strings.IndexByte(other, '.')) >= shortName && slip(own, other, first) || len(known) >= 2*shortName && slip(n.host, known, n.end)
}

// shortName is the length below which names are near each other by chance.
const shortName = 4

// owned is the domain that one registers for a host; "" for an address, and for a
// name below which others register.
func owned(host string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil || strings.Contains(host, ":") || strings.Trim(host, "0123456789.") == "" {
		return ""
	}
	return domain
}

// lastLabels is the end of host with n labels, or all of it.
func lastLabels(host string, n int) string {
	i := len(host)
	for ; n > 0 && i >= 0; n-- {
		i = strings.LastIndexByte(host[:i], '.')
	}
	return host[i+1:]
}

// latin is host with Latin letters for those of other alphabets that are drawn like
// them, where it has any.
func latin(host string) string {
	if !strings.Contains(host, "xn--") {
		return host
	}
	text, err := idna.ToUnicode(host)
	if err != nil {
		return host
	}
	return drawnAlike.Replace(text)
}

var drawnAlike = strings.NewReplacer(
	"\u0430", "a", "\u0441", "c", "\u0501", "d", "\u0435", "e", "\u04bb", "h", "\u0456", "i", "\u0458", "j", "\u04cf", "l", // Cyrillic
	"\u043e", "o", "\u0440", "p", "\u051b", "q", "\u0455", "s", "\u051d", "w", "\u0445", "x", "\u0443", "y",
	"\u03b1", "a", "\u03b9", "i", "\u03ba", "k", "\u03bd", "v", "\u03bf", "o", "\u03c1", "p", "\u03c4", "t", "\u03c5", "u", "\u03c7", "x", "\u03b3", "y", // Greek
	"\u0131", "i", "\u0142", "l", "\u0261", "g", "\u0585", "o", // Latin without a dot, with a stroke; script g; Armenian
)

// sameShape tells of names that differ by 0 for o, 1 for l, rn for m, vv for w, or
// a hyphen for a dot.
func sameShape(a, b string) bool {
	for i, j := 0, 0; ; {
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		x, n := drawn(a[i:])
		y, m := drawn(b[j:])
		if x != y {
			return false
		}
		i, j = i+n, j+m
	}
}

// drawn is what the beginning of s looks like, and how many bytes that is.
func drawn(s string) (byte, int) {
	switch {
	case strings.HasPrefix(s, "rn"):
		return 'm', 2
	case strings.HasPrefix(s, "vv"):
		return 'w', 2
	}
	switch s[0] {
	case '0':
		return 'o', 1
	case '1':
		return 'l', 1
	case '-', '_':
		return '.', 1
	}
	return s[0], 1
}

// slip tells whether b is a with one letter wrong, too much or missing, or with two
// swapped. From end on a is a suffix that others have too: there only .co for .com
// counts, since many have both .de and .be. A digit for a digit is numbering.
func slip(a, b string, end int) bool {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	switch {
	case len(b) == len(a)+1:
		return a[i:] == b[i+1:]
	case len(a) == len(b)+1:
		return a[i+1:] == b[i:]
	case len(a) != len(b) || i >= end:
		return false
	case a[i+1:] == b[i+1:]:
		return !isDigit(a[i]) || !isDigit(b[i])
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
