package route_test

import (
	"fmt"
	"time"

	"bottle/pkg/route"
)

func ExampleParse() {
	_, err := route.Parse("routes.yaml", []byte(`routes:
  - host: API.example.com
    path_alowlist: [/v1]
  - host: "*.com"
    auth_scheme: Bearer
`))
	fmt.Println(err)
	// Output:
	// routes.yaml:2:11: host "API.example.com" is not in canonical form; wanted "api.example.com"
	// routes.yaml:3:5: unknown key "path_alowlist" in a route; did you mean path_allowlist
	// routes.yaml:4:11: host "*.com" covers a public suffix; wanted a domain below com
	// routes.yaml:5:18: half a credential; auth needs both auth_scheme and token_env, or neither
}

func ExampleTable_Match() {
	table, err := route.Parse("routes.yaml", []byte(`routes:
  - host: "*.example.com"
    path_allowlist: [/repos/me]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, url := range []string{"https://api.example.com/repos/me/x", "https://api.example.com/repos/meow", "https://barexample.com/"} {
		q, err := route.NewQuery("GET", url, time.Now())
		if err != nil {
			fmt.Println(err)
			return
		}
		d := table.Match(q)
		if d.Allow {
			fmt.Println("allowed by", d.Route.Host)
			continue
		}
		fmt.Println(d.Code+":", d.Reason)
	}
	// Output:
	// allowed by *.example.com
	// path-not-allowed: path '/repos/meow' is not in the path_allowlist of route '*.example.com'
	// host-not-allowed: host 'barexample.com' is not in the bottle's egress_proxy.routes allowlist
}

func ExampleMerge() {
	now, err := route.Parse("routes.yaml", []byte(`{"routes": [{"host": "api.example.com", "path_allowlist": ["/v1"]}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := route.ParseProposal("proposal.json", []byte(`{"host": "api.example.com", "path_allowlist": ["/v1", "/v2"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	next, _, err := route.Merge(now, p)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(next.Encode()))
	for _, c := range route.Diff(now, next) {
		fmt.Println(c.Text)
	}
	// Output:
	// routes:
	//   - host: api.example.com
	//     path_allowlist:
	//       - /v1
	//       - /v2
	// ~ api.example.com: path /v2 added
}

func ExampleTable_Hosts() {
	table, err := route.New([]route.Route{{Host: "*.example.com"}, {Host: "api.example.org"}, {Host: "::1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	names, left := table.Hosts()
	fmt.Println(names, left)
	// Output:
	// [*.example.com api.example.org example.com] [::1]
}
