package bottle

import (
	"slices"
	"strings"
	"testing"
)

const withRole = "egress_proxy: {routes: [{host: api.anthropic.com, role: claude_code_oauth, auth: {scheme: Bearer, token_ref: MINE}}]}\n"

var outlet = Outlet{ProxyURL: "http://127.0.0.1:9099", CAFile: "/etc/bottle/ca.pem", CABundle: "/etc/bottle/bundle.pem"}

func TestEnv(t *testing.T) {
	got, err := Env(mustParse(t, "env: {LANG: C, X: ''}"), outlet)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(`HTTP_PROXY=P http_proxy=P HTTPS_PROXY=P https_proxy=P
		NO_PROXY=localhost,127.0.0.1,::1 no_proxy=localhost,127.0.0.1,::1
		SSL_CERT_FILE=B CURL_CA_BUNDLE=B REQUESTS_CA_BUNDLE=B PIP_CERT=B GIT_SSL_CAINFO=B CARGO_HTTP_CAINFO=B AWS_CA_BUNDLE=B
		NODE_EXTRA_CA_CERTS=C NODE_USE_ENV_PROXY=1 NODE_USE_SYSTEM_CA=1
		JAVA LANG=C X=`)
	for i, w := range want {
		w = strings.NewReplacer("=P", "="+outlet.ProxyURL, "=B", "="+outlet.CABundle, "NODE_EXTRA_CA_CERTS=C", "NODE_EXTRA_CA_CERTS="+outlet.CAFile).Replace(w)
		if w == "JAVA" {
			w = "JAVA_TOOL_OPTIONS=-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=9099 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9099 -Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]"
		}
		want[i] = w
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRoleAloneDecides: not the host, not the name of the operator's variable.
func TestRoleAloneDecides(t *testing.T) {
	got, err := Env(mustParse(t, withRole), outlet)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range []string{"CLAUDE_CODE_OAUTH_TOKEN=" + Placeholder, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_TELEMETRY=1"} {
		if !slices.Contains(got, kv) {
			t.Errorf("with the role %s is missing", kv)
		}
	}
	without := strings.Replace(strings.Replace(withRole, "role: claude_code_oauth, ", "", 1), "MINE", "CLAUDE_CODE_OAUTH_TOKEN", 1)
	got, err = Env(mustParse(t, "agent: claude\n"+without), outlet)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range got {
		if strings.Contains(kv, "CLAUDE") || strings.Contains(kv, "TELEMETRY") || strings.Contains(kv, Placeholder) {
			t.Errorf("without the role: %s", kv)
		}
	}
}

func TestEnvWithoutAuthority(t *testing.T) {
	got, err := Env(mustParse(t, "name: x"), Outlet{ProxyURL: "http://[::1]:1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range got {
		if strings.Contains(kv, "CA_") || strings.Contains(kv, "CERT") {
			t.Errorf("no file given, and %s", kv)
		}
	}
	if !slices.ContainsFunc(got, func(kv string) bool { return strings.Contains(kv, "-Dhttps.proxyHost=[::1] ") }) {
		t.Errorf("no address for Java in %q", got)
	}
}

func TestEnvRefusesOddProxies(t *testing.T) {
	for _, u := range []string{"", "127.0.0.1:9099", "https://h:1", "http://h", "http://u:p@h:1", "http://:1", "\x00"} {
		if got, err := Env(mustParse(t, "name: x"), Outlet{ProxyURL: u}); err == nil {
			t.Errorf("%q: got %q", u, got)
		}
	}
}
