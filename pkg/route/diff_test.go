package route

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	old := mustParse(t, `
routes:
  - {host: same.example, note: x}
  - {host: gone.example}
  - {host: paths.example, path_allowlist: [/a, /b], methods: [GET]}
  - {host: every.example, path_allowlist: [/a]}
  - {host: bare.example, path_allowlist: [/a]}
  - {host: narrow.example}
  - {host: order.example, path_allowlist: [/a, /b]}
  - {host: token.example, auth_scheme: Bearer, token_env: A}
  - {host: untoken.example, auth_scheme: Bearer, token_env: A}
  - {host: rest.example, ports: [443], expires: 2030-01-01T00:00:00Z, max_uses: 3, note: x}
`)
	new := mustParse(t, `
routes:
  - {host: same.example, note: x}
  - {host: paths.example, path_allowlist: [/a, /c], methods: [GET, POST]}
  - {host: every.example, path_allowlist: [/a, /]}
  - {host: bare.example}
  - {host: narrow.example, path_allowlist: [/a]}
  - {host: order.example, path_allowlist: [/b, /a]}
  - {host: token.example, auth_scheme: Basic, token_env: B, auth_user: git, auth_header: x-key}
  - {host: untoken.example}
  - {host: rest.example, note: y, role: claude_code_oauth}
  - {host: "*.new.example"}
  - {host: full.example, path_allowlist: [/v1, /v2], methods: [GET], ports: [8443], auth_scheme: Bearer, token_env: C, expires: 2031-01-01T00:00:00Z, max_uses: 1}
  - {host: tunnel.example, tls: passthrough}
`)
	want := `- gone.example
~ paths.example: path /c added
~ paths.example: path /b removed
~ paths.example: method POST added
~ every.example: widened to every path (/)
~ bare.example: widened to every path
~ narrow.example: narrowed from every path to /a
~ order.example: paths in another order
! token.example: credential changed: Basic from B as user git in x-key (was Bearer from A)
! untoken.example: credential removed: Bearer from A
~ rest.example: ports 443, 80 for http (was 443)
~ rest.example: role claude_code_oauth added
~ rest.example: expires never (was 2030-01-01T00:00:00Z)
~ rest.example: max_uses none (was 3)
~ rest.example: note changed
+ *.new.example: every path
+ full.example: paths /v1 /v2, methods GET, ports 8443, until 2031-01-01T00:00:00Z, for 1 use
! full.example: credential added: Bearer from C
+ tunnel.example: every path, tls passthrough, unseen`
	var lines []string
	for _, c := range Diff(old, new) {
		lines = append(lines, c.Text)
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if cs := Diff(old, old); cs != nil {
		t.Errorf("nothing changed, and yet %v", cs)
	}
}

func TestDiffWidens(t *testing.T) {
	narrow := mustParse(t, `routes: [{host: a.example, path_allowlist: [/a], methods: [GET], ports: [443], expires: 2030-01-01T00:00:00Z, max_uses: 2}]`)
	wide := mustParse(t, `routes: [{host: a.example}]`)
	for _, c := range Diff(narrow, wide) {
		if !c.Widens {
			t.Errorf("%s: not said to widen", c.Text)
		}
	}
	for _, c := range Diff(wide, narrow) {
		if c.Widens {
			t.Errorf("%s: said to widen", c.Text)
		}
	}
}
