package bottle

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"bottle/pkg/route"
	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// Placeholder is the credential that the agent sees: enough for it to start,
// and replaced by the proxy.
const Placeholder = "placeholder-replaced-by-egress-proxy"

// noProxy is spelled so that curl, wget, python, go and node all understand it.
// Only Go leaves these out by itself.
const noProxy = "localhost,127.0.0.1,::1"

// Which variables a program needs differs: libcurl ignores HTTP_PROXY in upper
// case (CVE-2016-5388), wget everything in upper case, node everything without
// NODE_USE_ENV_PROXY.
var (
	proxyVars = []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"}
	noVars    = []string{"NO_PROXY", "no_proxy"}
	// bundleVars replace a program's roots, so they name the system's and ours.
	bundleVars = []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE"}
	// caVars add to them: ours alone.
	caVars   = []string{"NODE_EXTRA_CA_CERTS"}
	switches = []string{"NODE_USE_ENV_PROXY", "NODE_USE_SYSTEM_CA"}
	// quiet stop Claude Code from dialling hosts that no route names. The last
	// is not implied by the first.
	quiet = []string{"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "DISABLE_AUTOUPDATER",
		"CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL"}
	// foreign would lead around what we set and are not set by us.
	foreign = []string{"ALL_PROXY", "all_proxy", "SSL_CERT_DIR", "NPM_CONFIG_CAFILE", "CARGO_HTTP_PROXY"}
)

// mcpWaits "0" has Claude Code begin when its MCP servers are there: otherwise a
// first refusal finds no tool to call (measured with 2.1.197).
const mcpWaits = "MCP_CONNECTION_NONBLOCKING"

const (
	oauthToken  = "CLAUDE_CODE_OAUTH_TOKEN"
	javaOptions = "JAVA_TOOL_OPTIONS"
)

// Outlet is the bottle's way out as the agent sees it.
type Outlet struct {
	ProxyURL string // http://HOST:PORT of the egress-proxy
	CAFile   string // the bottle's authority alone, PEM; "" sets no variable
	CABundle string // the system's roots and the authority, PEM; "" sets no variable
	Files    string // the folder of what Files returns
	// NodeOptions are those that the agent has without the manifest.
	NodeOptions string
}

// Env is the agent's environment as far as the manifest decides it, as
// NAME=VALUE: the way out in every spelling that a program reads, the
// placeholder and the switches of roles, and the manifest's own variables.
// It never holds a credential. The error is a ProxyURL that is none.
func Env(m *Manifest, o Outlet) ([]string, error) {
	java, err := javaProxy(o.ProxyURL)
	if err != nil {
		return nil, err
	}
	env := set(nil, o.ProxyURL, proxyVars)
	env = set(env, noProxy, noVars)
	env = set(env, o.CABundle, bundleVars)
	env = set(env, o.CAFile, caVars)
	env = set(env, "1", switches)
	env = set(env, java+m.javaTrust(o.Files), []string{javaOptions})
	node := o.NodeOptions
	if m.HasRole(route.RoleClaudeCodeOAuth) {
		env = set(env, Placeholder, []string{oauthToken})
		env = set(env, "1", quiet)
		env = set(env, "0", []string{mcpWaits})
	}
	for _, v := range m.Env {
		if v.Name == nodeOptions {
			node = v.Value
			continue
		}
		env = append(env, v.Name+"="+v.Value)
	}
	return set(env, m.nodeRequire(o.Files, node), []string{nodeOptions}), nil
}

// set appends each name with value; an empty value appends nothing.
func set(env []string, value string, names []string) []string {
	if value == "" {
		return env
	}
	for _, n := range names {
		env = append(env, n+"="+value)
	}
	return env
}

// javaProxy are the options of a Java machine, which reads no proxy variable.
func javaProxy(proxy string) (string, error) {
	u, err := url.Parse(proxy)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || u.User != nil {
		return "", fmt.Errorf("proxy %s is no URL of a proxy; wanted http://HOST:PORT", strictyaml.Quote(proxy))
	}
	h, p := u.Hostname(), u.Port()
	if a, err := netip.ParseAddr(h); err == nil && a.Is6() {
		h = "[" + h + "]"
	}
	return fmt.Sprintf("-Dhttp.proxyHost=%s -Dhttp.proxyPort=%s -Dhttps.proxyHost=%s -Dhttps.proxyPort=%s -Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]", h, p, h, p), nil
}

// readEnv reads the manifest's variables. Refused are those that would lead
// around the proxy and those that would carry a credential into the bottle.
func (m *reader) readEnv(n *yaml.Node) {
	m.Pairs(n, "env", func(k, v *yaml.Node) {
		value, ok := m.String(v, "env "+strictyaml.Quote(k.Value))
		if why := m.refusedVar(k.Value, value); why != "" {
			m.Fault(k, "env sets "+strictyaml.Quote(k.Value), why)
			return
		}
		if ok {
			m.Env = append(m.Env, Var{k.Value, value})
		}
	})
}

func (m *reader) refusedVar(name, value string) (why string) {
	is := func(lists ...[]string) bool {
		return slices.ContainsFunc(slices.Concat(lists...), func(s string) bool { return strings.EqualFold(s, name) })
	}
	switch host, isRef := m.refs[name]; {
	case isRef && value != Placeholder:
		return "the agent never sees a credential; this name is the token_ref of route " + host
	case name == oauthToken:
		return "the agent never sees a credential; give the route that carries it the role " + route.RoleClaudeCodeOAuth
	case is(proxyVars, noVars, bundleVars, caVars, switches, foreign, []string{javaOptions}):
		return "it belongs to the proxy and is set by the launcher"
	case strings.HasPrefix(name, "EGRESS_PROXY_"), strings.HasPrefix(name, "BOTTLE_"):
		return "names with this beginning belong to the launcher"
	case !variable(name):
		return "wanted a name of letters, digits and _, not beginning with a digit"
	}
	return ""
}

// variable tells a name that every shell can set (POSIX XBD §3.216).
func variable(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
