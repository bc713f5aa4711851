package bottle_test

import (
	"fmt"

	"bottle/pkg/bottle"
)

const manifest = `
name: web
command: [claude]
egress:
  allowlist: [pypi.org]
egress_proxy:
  routes:
    - host: api.anthropic.com
      auth: {scheme: Bearer, token_ref: MY_CLAUDE_TOKEN}
      role: claude_code_oauth
`

func ExampleEffectiveRoutes() {
	m, err := bottle.Parse("bottle.yaml", []byte(manifest))
	if err != nil {
		fmt.Println(err)
		return
	}
	table, slots, err := bottle.EffectiveRoutes(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s", table.Encode())
	fmt.Println(slots)
	// Output:
	// routes:
	//   - host: api.anthropic.com
	//     auth_scheme: Bearer
	//     token_env: EGRESS_PROXY_TOKEN_0
	//     role:
	//       - claude_code_oauth
	//   - host: pypi.org
	//   - host: platform.claude.com
	// map[EGRESS_PROXY_TOKEN_0:MY_CLAUDE_TOKEN]
}

func ExampleParse_faults() {
	_, err := bottle.Parse("bottle.yaml", []byte("name: Web\nenv:\n  HTTPS_PROXY: http://elsewhere\n"))
	fmt.Println(err)
	// Output:
	// bottle.yaml:1:7: name "Web" is not valid; wanted lower-case letters, digits and dashes, 63 at most, no dash first
	// bottle.yaml:3:3: env sets "HTTPS_PROXY"; it belongs to the proxy and is set by the launcher
}
