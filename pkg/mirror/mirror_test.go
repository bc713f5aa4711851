package mirror

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	cases := map[string]struct {
		in    string
		names []string
		left  string // the Msg of each, joined by |
		err   string
	}{
		"plain, sorted, once":     {"b.test\na.test\nb.test\n", []string{"a.test", "b.test"}, "", ""},
		"wildcard gives its apex": {"*.example.com\nexample.com", []string{"*.example.com", "example.com"}, "", ""},
		"twice is once":           {"example.com\n*.example.com\n*.example.com\n", []string{"*.example.com", "example.com"}, "", ""},
		"case, final dot, blanks": {"  API.Example.COM.\r\n\n*.X.Test\n", []string{"*.x.test", "api.example.com", "x.test"}, "", ""},
		"addresses":               {"127.0.0.1\n2001:DB8::1\n", []string{"127.0.0.1", "2001:db8::1"}, "", ""},
		"what has no spelling": {"*\n[::1]\nx.test:443\n[::1]:443\ny.test\n", []string{"y.test"},
			`host "*" is every host|host "[::1]" has brackets|host "x.test:443" has a port|host "[::1]:443" has brackets`, ""},
		"nothing":              {"\n\n", nil, "", ""},
		"a URL":                {"http://x.test/", nil, "", "hosts:1:1: "},
		"blanks inside":        {"a.test\nb test\n", nil, "", "hosts:2:1: "},
		"every fault":          {"a b\nfoo.*.test\n*foo.test\n*.\n*.*.x\na..b\n.a\n0x7f.1\n*.127.0.0.1\nbücher.example\n10.0.0.0/8\n", nil, "", "hosts:11:1: "},
		"everybody's wildcard": {"*.com", nil, "", "hosts:1:1: "},
		"controls are escaped": {"a\x1b[2J.test", nil, "", `\x1b`},
	}
	for name, c := range cases {
		names, left, err := Names("hosts", []byte(c.in))
		var msgs []string
		for _, f := range left {
			msgs = append(msgs, f.Msg)
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v; want an error with %q", name, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(names, c.names) || strings.Join(msgs, "|") != c.left {
			t.Errorf("%s: got %q, %q, %v; want %q, %q", name, names, msgs, err, c.names, c.left)
		}
	}
}

func TestEveryBadHostIsAFaultOfItsOwn(t *testing.T) {
	in := "a b\nfoo.*.test\n*foo.test\n*.\n*.*.x\na..b\n.a\n0x7f.1\n*.127.0.0.1\nbücher.example\n10.0.0.0/8"
	_, _, err := Names("hosts", []byte(in))
	if got, want := len(strings.Split(err.Error(), "\n")), strings.Count(in, "\n")+1; got != want {
		t.Errorf("%d faults for %d hosts:\n%v", got, want, err)
	}
}

func TestConfig(t *testing.T) {
	s := Settings{Listen: "127.0.0.1:8888", AllowPrivate: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8")}}
	const want = `# The pipelock of one bottle. pipemirror edits api_allowlist; pipelock takes it up at once.
version: 1
mode: strict # the only mode that enforces the list
api_allowlist:
  - "*.wild.test"
  - "a.test"
  - "wild.test"
fetch_proxy:
  listen: "127.0.0.1:8888"
  monitoring:
    max_requests_per_minute: 1000000
forward_proxy:
  enabled: true
  max_tunnel_seconds: 31536000
  idle_timeout_seconds: 86400
  sni_verification: false
ssrf:
  ip_allowlist:
    - "10.0.0.0/8"
logging:
  format: json # its config_reload lines are what confirms a change
  output: stdout
sentry:
  enabled: false
`
	if got := string(Config(s, []string{"*.wild.test", "a.test", "wild.test"})); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	// Without hosts it must still be one that pipelock loads.
	got, err := Entries("c", Config(Settings{Listen: ":1"}, nil))
	if err != nil || !reflect.DeepEqual(got, []string{Nobody}) {
		t.Errorf("without names: %q, %v", got, err)
	}
}
