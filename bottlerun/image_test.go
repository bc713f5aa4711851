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

// TestImageHome: what is put into a home of the image's is not put into the workspace.
func TestImageHome(t *testing.T) {
	for home, want := range map[string]string{"/home/x/": "/home/x", "/work": "", "/work/web": "", "/worker": "/worker", "/run/bottle": "", "/x/../work/web": "", "/": "", "relative": ""} {
		if got := (agentImage{env: []string{"HOME=" + home}}).home("/home/passwd"); got != want {
			t.Errorf("HOME=%s: %q, wanted %q", home, got, want)
		}
	}
	if got := (agentImage{}).home("/home/passwd"); got != "/home/passwd" {
		t.Errorf("passwd's: %q", got)
	}
}
