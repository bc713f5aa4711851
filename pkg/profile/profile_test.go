package profile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bottle/pkg/route"
)

// TestTables: every profile parses, and says of each host where it is from.
func TestTables(t *testing.T) {
	files, err := tables.ReadDir("tables")
	if err != nil || len(files) != 8 {
		t.Fatal(len(files), err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".yaml")
		text, err := Text(name)
		if err != nil {
			t.Fatal(err)
		}
		tab, err := route.Parse(f.Name(), text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(tab.Warnings()) > 0 || len(tab.Routes) == 0 {
			t.Errorf("%s: %v", name, tab.Warnings())
		}
		if !strings.HasPrefix(string(text), "# "+name+": ") {
			t.Errorf("%s does not begin with what it is for", name)
		}
		explained := false
		for line := range strings.Lines(string(text)) {
			switch {
			case strings.Contains(line, "Source: "):
				explained = true
			case strings.HasPrefix(line, "  - host: ") && !explained:
				t.Errorf("%s: no source before %s", name, strings.TrimSpace(line))
			}
		}
	}
}

// TestTools: the hosts are those that the tools name, wherever they are.
func TestTools(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	for name, script := range map[string]string{
		"npm":     `[ "$PWD" = / ] && [ "$*" = "config get registry" ] && echo https://mirror.example.org:8443/repository/npm/`,
		"go":      `[ "$PWD" = / ] && printf 'https://goproxy.example.org|https://b.example.org/mods,direct\nsums.example.org+key\n'`,
		"apt-get": `echo http://deb.example.org/debian/; echo http://deb.example.org/debian-security/; echo file:/srv/local; echo https://deb.example.org/debian/`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"npm":    "mirror.example.org [/repository/npm] [8443]",
		"go":     "goproxy.example.org [] []; b.example.org [/mods] []; sums.example.org [] []",
		"debian": "deb.example.org [/debian /debian-security] []",
	} {
		routes, err := Routes(name)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for _, r := range routes {
			if !slices.Equal(r.Methods, []string{"GET", "HEAD"}) {
				t.Errorf("%s: methods %v; want those for reading", r.Host, r.Methods)
			}
			got = append(got, strings.Join([]string{r.Host, fmt.Sprint(r.PathAllowlist), fmt.Sprint(r.Ports)}, " "))
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s: got %s; want %s", name, s, want)
		}
	}
}

// TestAll: two profiles of one mirror are one route for both.
func TestAll(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho https://mirror.example.org/npm/\n"), 0o755)
	os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\nprintf 'https://mirror.example.org:8443/go\\noff\\n'\n"), 0o755)
	routes, err := All([]string{"npm", "go", "openai"})
	if err != nil || len(routes) != 2 {
		t.Fatal(routes, err)
	}
	if got := fmt.Sprint(routes[0].Host, routes[0].PathAllowlist, routes[0].Ports, routes[0].Methods); got != "mirror.example.org[/npm /go] [80 443 8443] [GET HEAD]" {
		t.Error(got)
	}
}

// TestToolsMissing: a host that cannot be known is an error, never left out.
func TestToolsMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, name := range []string{"npm", "go", "debian", "nosuch"} {
		if _, err := Routes(name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho undefined\n"), 0o755)
	if r, err := Routes("npm"); err == nil {
		t.Errorf("got %v for a registry that is no address; want an error", r)
	}
}
