// Package mirror keeps the hosts of a bottle's routes on pipelock's allowlist:
// the names as pipelock spells them, an edit of its configuration that leaves
// all the rest alone, and a reload that is confirmed or taken back.
package mirror

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bottle/pkg/route"
	"bottle/pkg/strictyaml"
)

// Nobody is an entry that matches no host there is (RFC 2606 §2). It stands for
// an empty allowlist, with which pipelock in strict mode refuses to load.
const Nobody = "none.invalid"

// Names reads hosts, one per line, as routes name them, and returns them as
// pipelock's api_allowlist spells them: sorted, without doubles, "*.x" as "x"
// and "*.x". Pipelock itself loads any text and then never matches it, so all
// that it could not match is found here: what a route may hold but pipelock has
// no spelling for (*, ports, brackets) is left, one Fault each; anything else
// that is no host makes err, strictyaml.Faults. The faults name the file file.
func Names(file string, text []byte) (names []string, left strictyaml.Faults, err error) {
	var faults strictyaml.Faults
	for i, line := range strings.Split(string(text), "\n") {
		host := strings.TrimSpace(line)
		if host == "" {
			continue
		}
		fault := strictyaml.Fault{File: file, Line: i + 1, Col: 1 + strings.Index(line, host)}
		if fault.Msg = unmatchable(host); fault.Msg != "" {
			fault.Want = "pipelock cannot match it, left out"
			left = append(left, fault)
			continue
		}
		spelled, err := spell(host)
		if err != nil {
			fault.Msg, fault.Want = err.Error(), `wanted a host such as "api.example.com" or "*.example.com"`
			faults = append(faults, fault)
			continue
		}
		names = append(names, spelled...)
	}
	slices.Sort(names)
	return slices.Compact(names), left, faults.Err()
}

// unmatchable says why pipelock's matcher has no entry for host though it has a
// meaning elsewhere; "" when it may have one.
func unmatchable(host string) string {
	quoted := "host " + strictyaml.Quote(host)
	if host == "*" {
		return quoted + " is every host"
	}
	if strings.HasPrefix(host, "[") {
		return quoted + " has brackets"
	}
	name, port, found := strings.Cut(host, ":")
	if found && name != "" && port != "" && strings.Trim(port, "0123456789") == "" {
		return quoted + " has a port"
	}
	return ""
}

// spell is the entry for host, or the two for a wildcard.
func spell(host string) ([]string, error) {
	name, wild := strings.CutPrefix(host, "*.")
	name, err := route.CanonicalHost(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", strictyaml.Quote(host), err)
	}
	if !wild {
		return []string{name}, nil
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return nil, fmt.Errorf("%s is a wildcard over an address", strictyaml.Quote(host))
	}
	// The table knows over which names a wildcard would be everybody's.
	if _, err := route.New([]route.Route{{Host: "*." + name}}); err != nil {
		var fs strictyaml.Faults
		if errors.As(err, &fs) {
			return nil, errors.New(fs[0].Msg)
		}
		return nil, err
	}
	return []string{name, "*." + name}, nil
}

// same is an entry of api_allowlist as pipelock compares it.
func same(entry string) string { return strings.ToLower(strings.TrimSuffix(entry, ".")) }
