package main

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"bottle/pkg/profile"
	"bottle/pkg/route"
)

// A project may name registries itself: npm's in .npmrc, those of packages in lock
// files. What it names is not let through for that, since anybody may have written
// there: the operator is told which hosts no profile has.

// hostFiles are files with lines that name a host where packages are fetched from.
// The patterns are compiled where they are needed: run starts without them.
var hostFiles = map[string]string{
	".npmrc":            `^\s*(?:@[^:]+:)?registry\s*=\s*https?://([^/\s:]+)`,
	"package-lock.json": `"resolved": "https?://([^/"\s:]+)`,
	"yarn.lock":         `^\s*resolved "https?://([^/"\s:]+)`,
	"pnpm-lock.yaml":    `tarball: https?://([^/\s:]+)`,
	"uv.lock":           `registry = "https?://([^/"\s:]+)`,
	"Cargo.lock":        `source = "(?:registry|sparse)\+https?://([^/"\s:]+)`,
	"Gemfile":           `^\s*source\s*\(?\s*["']https?://([^/"'\s:]+)`,
	"requirements.txt":  `^\s*(?:-i|--index-url|--extra-index-url)[= ]\s*https?://([^/\s:]+)`,
}

// Bounds of what is read of a file, and of how many hosts are named.
const (
	maxHostFile = 32 << 20
	maxNamed    = 8
)

// oldCratesIndex is in each Cargo.lock, and stands for the index that is asked now.
const oldCratesIndex = "github.com"

// findHosts says which hosts the project names and no profile has.
func (f *found) findHosts(work string) {
	routes, err := profile.All(f.profiles)
	if err != nil {
		return // said already
	}
	t, err := route.New(routes)
	if err != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(hostFiles)) {
		var other []string
		for _, host := range hostsIn(filepath.Join(work, name), regexp.MustCompile(hostFiles[name])) {
			if t.Lookup(host) == nil && !(name == "Cargo.lock" && host == oldCratesIndex) {
				other = append(other, host)
			}
		}
		if len(other) > 0 {
			f.left = append(f.left, name+" names "+strings.Join(other, ", ")+", which no profile here has: if packages come from there, it belongs into egress.allowlist")
		}
	}
}

// hostsIn are the hosts that the lines of a file name, in their order.
func hostsIn(path string, pattern *regexp.Regexp) (hosts []string) {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxHostFile {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxHostFile)
	for lines.Scan() && len(hosts) < maxNamed {
		m := pattern.FindSubmatch(lines.Bytes())
		if m == nil {
			continue
		}
		host, err := route.CanonicalHost(string(m[1]))
		if err == nil && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
