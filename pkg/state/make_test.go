package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMakeRefusesOthers: a folder that others can write to holds their links.
func TestMakeRefusesOthers(t *testing.T) {
	for _, c := range []struct {
		name, path string
		mode       os.FileMode
	}{
		{"the bottle's", "root/web", 0o770},
		{"the proxy's", "root/web/egress-proxy", 0o777},
		{"above", "root", 0o777},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := t.TempDir()
			path := filepath.Join(base, c.path)
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			if err := Dir(filepath.Join(base, "root/web")).Make(); err == nil {
				t.Error("made; want a refusal")
			}
		})
	}
}

// TestMakeRefusesLinks: root would follow them.
func TestMakeRefusesLinks(t *testing.T) {
	base := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(base, "web")); err != nil {
		t.Fatal(err)
	}
	if err := Dir(filepath.Join(base, "web")).Make(); err == nil {
		t.Error("made; want a refusal")
	}
}

// TestHoldApplyEnds: an interrupt ends the waiting for a lock that stays held.
func TestHoldApplyEnds(t *testing.T) {
	d := Dir(t.TempDir())
	release, err := d.HoldApply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := d.HoldApply(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v; want the end of the context", err)
	}
}

func TestValidSlug(t *testing.T) {
	for s, want := range map[string]bool{
		"web": true, "9-a": true, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false, "": false, "-a": false,
		"Web": false, "a\n": false, "a/b": false, "a.b": false, "a_b": false, "é": false, "a\x00": false,
	} {
		if got := ValidSlug(s) == nil; got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}
