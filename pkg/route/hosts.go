package route

import (
	"slices"
	"strings"
)

// Hosts are the names of t for an upstream's allowlist, as pipelock spells them,
// sorted and without doubles: a wildcard gives the apex and itself, any other
// host itself. left are the hosts that pipelock cannot match, which a caller
// should name to the operator.
func (t *Table) Hosts() (names, left []string) {
	for i := range t.Routes {
		host := t.Routes[i].Host
		if strings.Contains(host, ":") { // IPv6: pipelock wants brackets and never matches them
			left = append(left, host)
			continue
		}
		if suffix, ok := wildcardSuffix(host); ok {
			names = append(names, suffix)
		}
		names = append(names, host)
	}
	slices.Sort(names)
	slices.Sort(left)
	return slices.Compact(names), left
}
