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
		"npm":     `[ "$PWD" = / ] && [ "$*" = "config list --json" ] && echo '{"json": true, "registry": "https://mirror.example.org:8443/repository/npm/", "@me:registry": "https://scope.example.org/", "x-registry": "https://no.example.org", "cache-max": 3}'`,
		"go":      `[ "$PWD" = / ] && printf 'https://goproxy.example.org|https://b.example.org/mods,direct\nsums.example.org+key\n'`,
		"apt-get": `[ "$*" = "update --print-uris" ] && printf "'%s/InRelease' x 0 \\n" http://deb.example.org/debian/dists/a http://deb.example.org/debian-security/dists/a/b file:/srv/local/dists/a https://deb.example.org/debian/dists/a http://flat.example.org:3142/x/. mirror+file:` + dir + `/mirrors/dists/a`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "mirrors"), []byte("# ours\nhttps://m.example.org/debian\tpriority:1\n\nfile:/srv/x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"npm":    "scope.example.org [] []; mirror.example.org [/repository/npm] [8443]",
		"go":     "goproxy.example.org [] []; b.example.org [/mods] []; sums.example.org [] []",
		"debian": "deb.example.org [/debian /debian-security] []; flat.example.org [/x] [3142]; m.example.org [/debian] []",
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
	os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho '{\"registry\":\"https://mirror.example.org/npm/\"}'\n"), 0o755)
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
	for _, answer := range []string{"undefined", "{}", `{"registry":"nowhere"}`, `{"registry":"https://u:a-password@%/"}`} {
		os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho '"+answer+"'\n"), 0o755)
		if r, err := Routes("npm"); err == nil || strings.Contains(err.Error(), "a-password") {
			t.Errorf("got %v, %v for %s; want an error", r, err, answer)
		}
	}
	os.WriteFile(filepath.Join(dir, "apt-get"), []byte("#!/bin/sh\necho \"'mirror+http://m.example.org/list/dists/a/InRelease' x 0\"\n"), 0o755)
	if r, err := Routes("debian"); err == nil || !strings.Contains(err.Error(), "wanted mirror+file") {
		t.Errorf("got %v, %v for a list that is fetched; want an error", r, err)
	}
}

// TestPip: an index of the operator's takes the place of the public one, a further
// one is beside it.
func TestPip(t *testing.T) {
	for _, c := range []struct{ conf, index, want string }{
		{"", "", "pypi.org files.pythonhosted.org"},
		{"[global]\nindex-url = https://pypi.example.org/root/simple/\n[list]\nindex-url = https://no.example.org\n", "", "pypi.example.org[/root]"},
		{"[global]\nindex-url = https://pypi.example.org/simple\n[install]\nindex_url: https://other.example.org:8443/simple\n", "", "other.example.org"},
		{"[global]\nextra-index-url =\n  https://a.example.org/simple\n  # not this\n  https://u:p@b.example.org/x\n", "", "pypi.org files.pythonhosted.org a.example.org b.example.org[/x]"},
		{"[global]\nindex-url = https://pypi.example.org/simple\nextra-index-url = https://pypi.org/simple\n", "", "pypi.org files.pythonhosted.org pypi.example.org"},
		{"[global]\nindex-url = https://pypi.example.org/simple\n", "https://pypi.org/simple", "pypi.org files.pythonhosted.org"},
	} {
		home := t.TempDir()
		for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": home, "PIP_INDEX_URL": c.index, "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": ""} {
			t.Setenv(name, value)
		}
		if err := os.Mkdir(filepath.Join(home, "pip"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "pip/pip.conf"), []byte(c.conf), 0o644); err != nil {
			t.Fatal(err)
		}
		routes, err := Routes("pypi")
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for _, r := range routes {
			text := r.Host
			if len(r.PathAllowlist) > 0 && !strings.HasPrefix(r.Host, "pypi.org") && !strings.HasPrefix(r.Host, "files.") {
				text += fmt.Sprint(r.PathAllowlist)
			}
			got = append(got, text)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: got %s; want %s", c.conf, s, c.want)
		}
	}
	t.Setenv("PIP_INDEX_URL", "https://u:a-password@%/simple")
	if r, err := Routes("pypi"); err == nil || strings.Contains(err.Error(), "a-password") {
		t.Errorf("got %v, %v; want an error", r, err)
	}
}
