package main

import (
	"os"
	"path/filepath"
	"testing"

	"bottle/pkg/state"
)

// TestDropSecrets: also in a folder whose name is a pattern.
func TestDropSecrets(t *testing.T) {
	dir, err := state.At(filepath.Join(t.TempDir(), "[a"), "web")
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Make(); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir.Tokens(), "EGRESS_PROXY_TOKEN_1")
	torn := filepath.Join(dir.Proxy(), ".ca-key.pem.12345") // of a launcher that was killed
	for _, f := range []string{token, torn, dir.CAKey()} {
		if err := os.WriteFile(f, []byte("secret"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := dropSecrets(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{token, torn, dir.CAKey()} {
		if _, err := os.Lstat(f); err == nil {
			t.Errorf("%s is left", f)
		}
	}
}

// TestDropTorn: what is half written goes, and what is whole stays.
func TestDropTorn(t *testing.T) {
	dir, err := state.At(t.TempDir(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Make(); err != nil {
		t.Fatal(err)
	}
	torn, whole := []string{dir.In(".bottle.json.123"), dir.In(".bottle.yaml.9"), filepath.Join(dir.Proxy(), ".routes.yaml.status.1")}, []string{dir.Manifest(), dir.Status(), dir.Routes()}
	for _, f := range append(torn, whole...) {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := dropTorn(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range torn {
		if _, err := os.Lstat(f); err == nil {
			t.Errorf("%s is left", f)
		}
	}
	for _, f := range whole {
		if _, err := os.Lstat(f); err != nil {
			t.Error(err)
		}
	}
}
