package bottle

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"bottle/pkg/ca"
)

// value is that of one variable; "" for none.
func value(t *testing.T, m *Manifest, o Outlet, name string) (got string) {
	t.Helper()
	env, err := Env(m, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range env {
		if v, ok := cutName(kv, name); ok {
			if got != "" {
				t.Errorf("%s is there twice", name)
			}
			got = v
		}
	}
	return got
}

func cutName(kv, name string) (string, bool) {
	if len(kv) > len(name) && kv[:len(name)+1] == name+"=" {
		return kv[len(name)+1:], true
	}
	return "", false
}

// Options that the program has already stay, behind ours; without the client they
// are as they were.
func TestNodeOptions(t *testing.T) {
	o := Outlet{ProxyURL: "http://127.0.0.1:9099", Files: "/run/bottle", NodeOptions: "--of-the-image"}
	spaced := o
	spaced.Files = "/a folder"
	for _, c := range []struct {
		manifest string
		o        Outlet
		want     string
	}{
		{"name: x", Outlet{ProxyURL: o.ProxyURL}, ""},
		{"name: x", o, "--of-the-image"},
		{"env: {NODE_OPTIONS: --mine}", o, "--mine"},
		{"clients: [node]", o, "--require=/run/bottle/node-proxy.cjs --of-the-image"},
		{"clients: [node]\nenv: {NODE_OPTIONS: --mine}", o, "--require=/run/bottle/node-proxy.cjs --mine"},
		{"clients: [node]", spaced, `--require="/a folder/node-proxy.cjs" --of-the-image`},
	} {
		if got := value(t, mustParse(t, c.manifest), c.o, "NODE_OPTIONS"); got != c.want {
			t.Errorf("%s: got %q, wanted %q", c.manifest, got, c.want)
		}
	}
}

func TestJavaTrust(t *testing.T) {
	const proxy = "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=9099 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9099 -Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]"
	o := Outlet{ProxyURL: "http://127.0.0.1:9099", Files: "/run/bottle"}
	if got, want := value(t, mustParse(t, "clients: [java]"), o, "JAVA_TOOL_OPTIONS"), proxy+" -Djavax.net.ssl.trustStore=/run/bottle/trust.jks -Djavax.net.ssl.trustStoreType=JKS"; got != want {
		t.Errorf("got %q", got)
	}
}

// Files are made for whom the manifest names, and for nobody else.
func TestFiles(t *testing.T) {
	cert, _, err := ca.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	none, err := Files(mustParse(t, "name: x"), nil)
	if err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	files, err := Files(mustParse(t, "clients: [node, java]"), cert)
	if err != nil || len(files) != 2 || !bytes.HasPrefix(files["trust.jks"], []byte{0xfe, 0xed, 0xfe, 0xed}) || !bytes.Contains(files["node-proxy.cjs"], []byte("CONNECT")) {
		t.Errorf("%v, %v", slices.Sorted(func(yield func(string) bool) {
			for name := range files {
				if !yield(name) {
					return
				}
			}
		}), err)
	}
	if _, err := Files(mustParse(t, "clients: [java]"), []byte("none")); err == nil {
		t.Error("a store of nothing")
	}
}
