package profile_test

import (
	"fmt"

	"bottle/pkg/profile"
)

func ExampleRoutes() {
	routes, err := profile.Routes("openai")
	fmt.Println(routes[0].Host, routes[0].PathAllowlist, err)
	// Output: api.openai.com [/v1] <nil>
}
