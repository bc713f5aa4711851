package route

import (
	"reflect"
	"testing"

	"bottle/pkg/strictyaml"
)

func readManifest(t *testing.T, data string) ([]ManifestRoute, error) {
	t.Helper()
	root, faults := strictyaml.Document("m", []byte(data), strictyaml.Limits{})
	if root == nil {
		t.Fatal(faults)
	}
	w := strictyaml.NewWalker("m")
	w.Add(faults)
	routes := ManifestRoutes(w, root)
	return routes, w.Faults().Err()
}

func TestManifestRoutes(t *testing.T) {
	got, err := readManifest(t, `
- host: bücher.example
  path_allowlist: [/x, /x]
  auth: {scheme: Bearer, token_ref: MY_TOKEN}
- host: key.example
  auth_header: x-api-key
  auth: {token_ref: MY_KEY}
- host: git.example
  auth_user: git
  auth: {scheme: Basic, token_ref: MY_GIT}
- host: bare.example
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []ManifestRoute{
		{Route{Host: "xn--bcher-kva.example", PathAllowlist: []string{"/x"}, AuthScheme: "Bearer"}, "MY_TOKEN"},
		{Route{Host: "key.example", AuthHeader: "x-api-key"}, "MY_KEY"},
		{Route{Host: "git.example", AuthScheme: "Basic", AuthUser: "git"}, "MY_GIT"},
		{Route{Host: "bare.example"}, ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestManifestRoutesRefuses(t *testing.T) {
	_, err := readManifest(t, `
- host: a.example
  token_env: EGRESS_PROXY_TOKEN_0
- host: a.example
  auth: {scheme: Bearer}
- host: c.example
  auth: {token_ref: T}
- host: d.example
  auth: {scheme: B r, token_ref: 9T}
- host: e.example
  auth_header: x-api-key
- host: f.example
  tls: passthrough
  auth: {scheme: Bearer, token_ref: T}
- host: g.example
  auth: ~
`)
	want := `m:3:3: unknown key "token_env" in a route; wanted one of host, path_allowlist, methods, ports, auth, auth_header, auth_user, role, tls, expires, max_uses, note
m:4:9: host "a.example" has a route already (line 2); wanted one route per host
m:5:9: half a credential; auth needs both scheme and token_ref
m:7:9: half a credential; auth needs both scheme and token_ref
m:9:18: scheme "B r" is no token; wanted a scheme such as Bearer
m:9:34: token_ref "9T" is no name of an environment variable; wanted letters, digits and _, not beginning with a digit
m:11:16: auth_header without token_env; wanted token_env, or no auth_header
m:14:9: auth_scheme on a passthrough route; wanted tls: intercept; what is not decrypted cannot be checked or given a credential
m:14:9: token_env on a passthrough route; wanted tls: intercept; what is not decrypted cannot be checked or given a credential
m:16:9: auth is null; wanted a mapping with scheme, token_ref`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
