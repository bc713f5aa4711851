package mirror

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bottle/pkg/ca"
	"bottle/pkg/route"
)

func table(t *testing.T, routes ...route.Route) *route.Table {
	t.Helper()
	tab, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// put writes the files of a start into the folder.
func put(t *testing.T, dir string, st *Start) {
	t.Helper()
	for _, f := range st.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, f.Mode); err != nil {
			t.Fatal(err)
		}
	}
}

func (st *Start) file(name string) string {
	for _, f := range st.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func TestPrepare(t *testing.T) {
	st, err := Prepare(Settings{Name: "web", Dir: "/b", Listen: "127.0.0.1:1", Intercept: true, Passthrough: []string{"llm.test"},
		Table: table(t, route.Route{Host: "a.test"}, route.Route{Host: "*.b.test"}, route.Route{Host: "p.test", TLS: route.Passthrough},
			route.Route{Host: "::1"}, route.Route{Host: "k.test", AuthHeader: "X-Token", TokenEnv: "T"}),
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Roots: []byte("roots")})
	if err != nil {
		t.Fatal(err)
	}
	config := st.file(ConfigFile)
	for _, want := range []string{"\nmode: strict", "\n  - \"*.b.test\"\n  - \"a.test\"\n  - \"b.test\"\n", "sni_verification: false",
		"ca_cert: \"/b/ca.pem\"", "ca_key: \"/b/ca-key.pem\"", "passthrough_domains:\n    - \"llm.test\"\n    - \"p.test\"\n",
		"sensitive_headers: [\"Cookie\", \"Proxy-Authorization\"]", "action: block", "scan_env: false", "- \"10.0.0.0/8\"", "sentry:\n  enabled: false"} {
		if !strings.Contains(config, want) {
			t.Errorf("no %q in\n%s", want, config)
		}
	}
	if _, err := ca.Load(st.CA, []byte(st.file(KeyFile))); err != nil || !strings.HasPrefix(st.file(KeyFile), "-----BEGIN EC PRIVATE KEY-----") || st.file(CAFile) != string(st.CA) {
		t.Errorf("authority: %v", err)
	}
	if !slices.Equal(st.Left, []string{"::1"}) || !slices.Equal(st.Env, []string{"SSL_CERT_FILE=/b/roots.pem"}) || st.file(RootsFile) != "roots" {
		t.Errorf("got left %v, env %v", st.Left, st.Env)
	}
	if got := strings.Join(st.Args, " "); got != "run --config /b/pipelock.yaml --listen 127.0.0.1:1" {
		t.Errorf("args: %s", got)
	}
	for _, f := range st.Files {
		if secret := f.Name == KeyFile || f.Name == ConfigFile; secret != (f.Mode == 0o600) {
			t.Errorf("%s: mode %04o", f.Name, f.Mode)
		}
	}
}

func TestPrepareWithoutInterception(t *testing.T) {
	st, err := Prepare(Settings{Dir: "/b", Table: table(t)})
	if err != nil || st.CA != nil || len(st.Files) != 1 || strings.Contains(st.file(ConfigFile), "tls_interception") || !strings.Contains(st.file(ConfigFile), Nobody) {
		t.Errorf("got %+v, %v", st, err)
	}
}

// TestPrepareOwn: the operator's configuration keeps all but what must be the
// bottle's.
func TestPrepareOwn(t *testing.T) {
	const head, list = "# mine\nmode: strict\napi_allowlist:\n  - x.test\n", "  - \"a.test\"\n"
	const pair, key = "ca_cert: \"/b/ca.pem\"", "ca_key: \"/b/ca-key.pem\""
	cases := map[string]struct{ in, want string }{
		"none":     {"", ""},
		"off":      {"tls_interception: {enabled: false}\n", "tls_interception: {enabled: false}\n"},
		"block":    {"tls_interception:\n  enabled: true # yes\n", "tls_interception:\n  " + pair + "\n  " + key + "\n  enabled: true # yes\n"},
		"flow":     {"tls_interception: {enabled: true}\n", "tls_interception: {" + pair + ", " + key + ", enabled: true}\n"},
		"replaced": {"tls_interception:\n  ca_key: old.key\n  enabled: true\n  ca_cert: 'old' # c\n", "tls_interception:\n  " + key + "\n  enabled: true\n  " + pair + " # c\n"},
		"half":     {"tls_interception:\n  ca_key: old.key\n  enabled: true\n", "tls_interception:\n  " + pair + "\n  " + key + "\n  enabled: true\n"},
	}
	for name, c := range cases {
		st, err := Prepare(Settings{Dir: "/b", Table: table(t, route.Route{Host: "a.test"}), Own: []byte(head + c.in), OwnFile: "own"})
		if err != nil || st.file(ConfigFile) != head+list+c.want {
			t.Errorf("%s: got %v\n%s", name, err, st.file(ConfigFile))
		}
		if on := strings.Contains(c.in, "true"); err == nil && on == (st.CA == nil) {
			t.Errorf("%s: authority %v", name, st.CA != nil)
		}
	}
}

func TestPrepareOwnRefused(t *testing.T) {
	cases := map[string]string{
		"api_allowlist: {}\n":                 "own:1:16: ",
		"tls_interception: {enabled: true}\n": "wanted it in tls_interception.passthrough_domains",
		"tls_interception: {enabled: true, passthrough_domains: [\"*.other.test\"], ca_cert: &a old}\n": "own:1:",
	}
	for in, want := range cases {
		_, err := Prepare(Settings{Dir: "/b", Table: table(t, route.Route{Host: "p.test", TLS: route.Passthrough}), Own: []byte(in), OwnFile: "own"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", in, err)
		}
	}
	ok := "tls_interception: {enabled: true, passthrough_domains: [\"*.p.test\"]}\n"
	if _, err := Prepare(Settings{Dir: "/b", Table: table(t, route.Route{Host: "p.test", TLS: route.Passthrough}), Own: []byte(ok)}); err != nil {
		t.Errorf("%q: got %v", ok, err)
	}
}

// TestPrepared: pipelock starts with what was prepared, and takes up a host.
func TestPrepared(t *testing.T) {
	dir := t.TempDir()
	for name, own := range map[string]string{"ours": "", "own": "mode: strict\napi_allowlist: [a.test]\nforward_proxy: {enabled: true}\ntls_interception:\n  enabled: true\n"} {
		s := Settings{Name: "web", Dir: filepath.Join(dir, name), Listen: freeAddr(t), Intercept: true, Passthrough: []string{"*.llm.test"},
			Table: table(t, route.Route{Host: "a.test"}), AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		if own != "" {
			s.Own = []byte(own)
		}
		st, err := Prepare(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(s.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, s.Dir, st)
		r := begin(t, s.Dir, s.Listen, &exec.Cmd{Args: append([]string{"pipelock"}, st.Args...)})
		if _, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"127.0.0.1"}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !r.allows(t, "127.0.0.1") {
			t.Errorf("%s: applied, and not allowed", name)
		}
	}
}
