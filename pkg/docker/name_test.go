package docker

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	for s, want := range map[string]bool{
		"bottle-web-agent": true, "9f": true, "a_b.c+d-e": true, strings.Repeat("a", 255): true, strings.Repeat("a", 256): false,
		"": false, "-a": false, ".a": false, "_a": false, "+a": false, "a b": false, "a:b": false, "a/b": false, "a\n": false, "é": false, "a\xff": false,
	} {
		if got := validName(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}
