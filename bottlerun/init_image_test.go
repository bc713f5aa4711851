package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFolders: an image's PATH may be anything, and a few folders are looked into.
func TestFolders(t *testing.T) {
	img := agentImage{name: "x", env: []string{"PATH=/bin:/usr/bin/:relative::/bin:/opt/../bin:/last"}}
	dirs, err := img.folders()
	if want := []string{"/bin", "/usr/bin", "/last", "/run/bottle/bin"}; !slices.Equal(dirs, want) || err != nil {
		t.Errorf("got %q, %v; wanted %q", dirs, err, want)
	}
	var many []string
	for i := range maxFolders {
		many = append(many, fmt.Sprintf("/p%d", i))
	}
	img.env = []string{"PATH=" + strings.Join(many, ":")}
	if dirs, err := img.folders(); err == nil {
		t.Errorf("%d folders are taken", len(dirs))
	}
}
