package profile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// configured is a home with what a user of mirrors has in it. Variables of whoever
// runs the tests are unset.
func configured(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	files := map[string]string{
		".npmrc": "registry=https://npm.mirror.test:8443/repository/npm/\n@corp:registry=https://scoped.mirror.test/npm/\n//npm.mirror.test:8443/repository/npm/:_authToken=a-secret\n",
		"go.env": "GOPROXY=https://go.mirror.test/mods|https://other.mirror.test,direct\nGOSUMDB=sum.mirror.test+1234+abcd https://sums.mirror.test/db\nGOPRIVATE=code.mirror.test\n",
		"apt/sources.list": "deb [signed-by=/k.gpg arch=amd64] http://deb.mirror.test:3142/debian bookworm main\n" +
			"deb http://flat.mirror.test/x/ ./\ndeb file:/srv/local ./\n",
		"apt/sources.list.d/a.sources": "Types: deb deb-src\nURIs: https://one.mirror.test/debian mirror+file:" + home + "/mirrors\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n" +
			"Types: deb\nURIs: https://off.mirror.test/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n",
		"mirrors":  "https://m1.mirror.test/debian\tpriority:1\nhttp://m2.mirror.test/debian\n",
		"apt.conf": `Dir::Etc::sourcelist "` + home + `/apt/sources.list"; Dir::Etc::sourceparts "` + home + `/apt/sources.list.d";` + "\n",
	}
	for name, text := range files {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if upper := strings.ToUpper(name); strings.HasPrefix(upper, "NPM_CONFIG_") || strings.HasPrefix(upper, "PIP_") || slices.Contains(goVariables, upper) || upper == "GOFLAGS" {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{"HOME": home, "GOENV": home + "/go.env", "APT_CONFIG": home + "/apt.conf"} {
		t.Setenv(name, value)
	}
	return home
}

// TestRealTools: the tools themselves, as a user has configured them.
func TestRealTools(t *testing.T) {
	configured(t)
	for _, c := range []struct{ tool, profile, routes, vars string }{
		{"npm", "npm", "scoped.mirror.test[/npm] npm.mirror.test[/repository/npm][8443]", "NPM_CONFIG_REGISTRY=https://npm.mirror.test:8443/repository/npm/"},
		{"go", "go", "go.mirror.test[/mods] other.mirror.test sums.mirror.test[/db]",
			"GOPROXY=https://go.mirror.test/mods|https://other.mirror.test,direct GOSUMDB=sum.mirror.test+1234+abcd https://sums.mirror.test/db GOPRIVATE=code.mirror.test GONOPROXY=code.mirror.test GONOSUMDB=code.mirror.test"},
		{"apt-get", "debian", "deb.mirror.test[/debian][3142] flat.mirror.test[/x] m1.mirror.test[/debian] m2.mirror.test[/debian] one.mirror.test[/debian]", ""},
	} {
		t.Run(c.profile, func(t *testing.T) {
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skip(err)
			}
			routes, err := Routes(c.profile)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range routes {
				s := r.Host
				for _, p := range r.PathAllowlist {
					s += "[" + p + "]"
				}
				if r.Ports != nil {
					s += fmt.Sprint(r.Ports)
				}
				got = append(got, s)
			}
			if c.profile == "debian" { // apt has its own order
				slices.Sort(got)
			}
			if s := strings.Join(got, " "); s != c.routes {
				t.Errorf("got  %s\nwant %s", s, c.routes)
			}
			vars, secret, err := Variables(c.profile)
			if err != nil || len(secret) > 0 {
				t.Fatal(secret, err)
			}
			got = nil
			for _, v := range vars {
				got = append(got, v.Name+"="+v.Value)
			}
			if s := strings.Join(got, " "); s != c.vars {
				t.Errorf("got  %s\nwant %s", s, c.vars)
			}
		})
	}
}

// TestQuiet: a tool that is asked fetches nothing for itself and leaves nothing.
func TestQuiet(t *testing.T) {
	home := configured(t)
	t.Setenv("GOTOOLCHAIN", "go1.99.0")
	t.Setenv("GOPROXY", "http://127.0.0.1:1") // refuses
	for tool, profile := range map[string]string{"npm": "npm", "go": "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			continue
		}
		if _, err := Routes(profile); err != nil {
			t.Error(err)
		}
		if _, _, err := Variables(profile); err != nil {
			t.Error(err)
		}
	}
	if logs, _ := filepath.Glob(home + "/.npm/_logs/*"); logs != nil {
		t.Errorf("%s was made", logs)
	}
	if _, err := os.Lstat("/nonexistent"); err == nil { // a home that root can make
		t.Error("/nonexistent was made")
	}
}

// TestVariables: nothing to tell without a configuration, and never a password.
func TestVariables(t *testing.T) {
	home := configured(t)
	if vars, secret, err := Variables("pypi"); len(vars)+len(secret) > 0 || err != nil {
		t.Error(vars, secret, err)
	}
	if vars, secret, err := Variables("crates"); len(vars)+len(secret) > 0 || err != nil {
		t.Error(vars, secret, err)
	}
	t.Setenv("PIP_INDEX_URL", "https://pypi.mirror.test/simple")
	t.Setenv("PIP_EXTRA_INDEX_URL", "https://a.mirror.test/simple https://me:a-password@b.mirror.test/simple")
	vars, secret, err := Variables("pypi")
	if fmt.Sprint(vars, secret, err) != "[{PIP_INDEX_URL https://pypi.mirror.test/simple} {UV_DEFAULT_INDEX https://pypi.mirror.test/simple}] [PIP_EXTRA_INDEX_URL] <nil>" {
		t.Error(vars, secret, err)
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(home+"/go.env", []byte("GOPROXY=https://me:a-password@go.mirror.test,direct\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if vars, secret, err := Variables("go"); fmt.Sprint(vars, secret, err) != "[] [GOPROXY] <nil>" {
		t.Error(vars, secret, err)
	}
	text, err := Text("go")
	if err != nil || strings.Contains(string(text), "a-password") {
		t.Errorf("%s, %v", text, err)
	}
}
