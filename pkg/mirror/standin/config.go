// Package standin is a pipelock for tests: a program with the command line,
// configuration, answers, log lines and reload of the real one as far as the
// toolkit meets them, so that tests need no other project's code. Its resolver
// is a table (the environment variable STANDIN_HOSTS, "name=address,…"; "system" for the system's), and its
// scanning knows two kinds of secret. Tests alone import it.
package standin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A config is the part of pipelock's settings that the stand-in knows. Any other
// key is refused, as the real one refuses what it does not know.
type config struct {
	Version       int      `yaml:"version"`
	Mode          string   `yaml:"mode"`
	ExplainBlocks bool     `yaml:"explain_blocks"`
	APIAllowlist  []string `yaml:"api_allowlist"`
	FetchProxy    struct {
		Listen     string `yaml:"listen"`
		Monitoring struct {
			MaxRequestsPerMinute int `yaml:"max_requests_per_minute"`
		} `yaml:"monitoring"`
	} `yaml:"fetch_proxy"`
	ForwardProxy struct {
		Enabled            bool  `yaml:"enabled"`
		MaxTunnelSeconds   int   `yaml:"max_tunnel_seconds"`
		IdleTimeoutSeconds int   `yaml:"idle_timeout_seconds"`
		SNIVerification    *bool `yaml:"sni_verification"`
	} `yaml:"forward_proxy"`
	TLSInterception struct {
		Enabled            bool     `yaml:"enabled"`
		CACert             string   `yaml:"ca_cert"`
		CAKey              string   `yaml:"ca_key"`
		PassthroughDomains []string `yaml:"passthrough_domains"`
	} `yaml:"tls_interception"`
	TrustedDomains []string `yaml:"trusted_domains"`
	SSRF           struct {
		IPAllowlist []string `yaml:"ip_allowlist"`
	} `yaml:"ssrf"`
	RequestBodyScanning struct {
		Enabled          *bool    `yaml:"enabled"`
		Action           string   `yaml:"action"`
		ScanHeaders      *bool    `yaml:"scan_headers"`
		SensitiveHeaders []string `yaml:"sensitive_headers"`
	} `yaml:"request_body_scanning"`
	DLP struct {
		ScanEnv *bool `yaml:"scan_env"`
	} `yaml:"dlp"`
	Logging struct {
		Format string `yaml:"format"`
		Output string `yaml:"output"`
	} `yaml:"logging"`
	Sentry struct {
		Enabled bool `yaml:"enabled"`
	} `yaml:"sentry"`

	hash    string // SHA-256 of the file's bytes
	private []netip.Prefix
}

// load reads and checks a configuration file.
func load(path string) (*config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading config %s: %w", path, err)
	}
	c := &config{Version: 1, Mode: "balanced"}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("parsing config %s: %w", path, err)
	}
	var extra yaml.Node
	if err := dec.Decode(&extra); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("parsing config %s: multiple YAML documents not supported (pipelock config must be a single document)", path)
	}
	sum := sha256.Sum256(data)
	c.hash = hex.EncodeToString(sum[:])
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("invalid config: %w", err)
	}
	return c, nil
}

// check validates c and fills in defaults. Hosts are not looked at: the real one
// takes any text.
func (c *config) check() error {
	if !slices.Contains([]string{"strict", "balanced", "audit"}, c.Mode) {
		return fmt.Errorf("invalid mode %q: must be strict, balanced, or audit", c.Mode)
	}
	if c.Mode == "strict" && len(c.APIAllowlist) == 0 {
		return errors.New("strict mode requires at least one domain in api_allowlist")
	}
	if a := c.RequestBodyScanning.Action; a != "" && a != "warn" && a != "block" {
		return fmt.Errorf("invalid request_body_scanning.action %q: must be warn or block", a)
	}
	if c.RequestBodyScanning.SensitiveHeaders == nil {
		c.RequestBodyScanning.SensitiveHeaders = []string{"Authorization", "Cookie", "X-Api-Key", "X-Token", "Proxy-Authorization", "X-Goog-Api-Key"}
	}
	if c.FetchProxy.Monitoring.MaxRequestsPerMinute <= 0 {
		c.FetchProxy.Monitoring.MaxRequestsPerMinute = 60
	}
	if c.FetchProxy.Listen == "" {
		c.FetchProxy.Listen = "127.0.0.1:8888"
	}
	for _, s := range c.SSRF.IPAllowlist {
		p, err := netip.ParsePrefix(s)
		if err != nil || p != p.Masked() || p.Bits() == 0 {
			return fmt.Errorf("ssrf.ip_allowlist: invalid CIDR %q", s)
		}
		c.private = append(c.private, p)
	}
	return nil
}

// allows matches host as pipelock does. Only strict mode has an allowlist.
func (c *config) allows(host string) bool {
	if c.Mode != "strict" {
		return true
	}
	return slices.ContainsFunc(c.APIAllowlist, func(pattern string) bool { return matches(host, pattern) })
}

func matches(host, pattern string) bool {
	host, pattern = strings.ToLower(strings.TrimSuffix(host, ".")), strings.ToLower(strings.TrimSuffix(pattern, "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return host == pattern
	}
	if base, ok := strings.CutPrefix(pattern, "*."); ok {
		return host == base || strings.HasSuffix(host, "."+base)
	}
	return host == pattern
}

// reaches tells whether an address may be dialled.
func (c *config) reaches(a netip.Addr) bool {
	internal := a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast()
	return !internal || slices.ContainsFunc(c.private, func(p netip.Prefix) bool { return p.Contains(a) })
}

// weakens lists what a change from old to c loosens, as field and text. In
// strict mode any of it makes the reload be refused as a whole.
func (c *config) weakens(old *config) (warnings [][2]string) {
	grown := func(field, text string, was, is []string) {
		if slices.ContainsFunc(is, func(s string) bool { return !slices.Contains(was, s) }) {
			warnings = append(warnings, [2]string{field, text})
		}
	}
	if old.Mode == "strict" && c.Mode != "strict" {
		warnings = append(warnings, [2]string{"mode", "mode downgraded from strict to " + c.Mode})
	}
	if old.ForwardProxy.Enabled && !c.ForwardProxy.Enabled {
		warnings = append(warnings, [2]string{"forward_proxy.enabled", "forward proxy disabled"})
	}
	if old.TLSInterception.Enabled && !c.TLSInterception.Enabled {
		warnings = append(warnings, [2]string{"tls_interception.enabled", "TLS interception disabled"})
	}
	grown("tls_interception.passthrough_domains", "passthrough domains expanded", old.TLSInterception.PassthroughDomains, c.TLSInterception.PassthroughDomains)
	grown("trusted_domains", "trusted domains expanded", old.TrustedDomains, c.TrustedDomains)
	grown("ssrf.ip_allowlist", "SSRF IP allowlist expanded", old.SSRF.IPAllowlist, c.SSRF.IPAllowlist)
	return warnings
}
