package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// count returns the number of certificates that a client reads from data.
func count(t *testing.T, data []byte) (n int) {
	t.Helper()
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestBundle(t *testing.T) {
	dir := t.TempDir()
	key := generate(t, elliptic.P256())
	a, b := certify(t, key, nil), certify(t, key, nil)
	first, second := filepath.Join(dir, "first.crt"), filepath.Join(dir, "second.crt")
	// The last newline is missing, as in some real files.
	if err := os.WriteFile(first, []byte("# roots\n"+strings.TrimRight(string(a)+string(b), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(second, []byte("not asked"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(dir, "absent"), first, second}
	got, err := bundle(files, [][]byte{a, []byte(strings.TrimRight(string(b), "\n"))})
	if err != nil || count(t, got) != 4 || got[len(got)-1] != '\n' {
		t.Errorf("got %d certificates, %v, want 4", count(t, got), err)
	}
	if got, err := bundle(files, nil); err != nil || count(t, got) != 2 {
		t.Errorf("without extra: got %d certificates, %v, want 2", count(t, got), err)
	}
	for name, extra := range map[string][]byte{
		"key": pkcs8(t, key), "certificate and key": append(append([]byte(nil), a...), pkcs8(t, key)...),
		"empty": nil, "garbage": []byte("garbage"), "cut": a[:len(a)/2], "cut and whole": append(append([]byte(nil), a[:len(a)/2]...), b...),
		"damaged": encode("CERTIFICATE", []byte("damaged")),
	} {
		if _, err := bundle(files, [][]byte{extra}); err == nil || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := bundle(files[:1], nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no roots: got %v", err)
	}
}

func TestBundleOfThisSystem(t *testing.T) {
	got, err := Bundle()
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this system has no root certificates")
	}
	if err != nil || count(t, got) < 10 {
		t.Errorf("got %d certificates, %v", count(t, got), err)
	}
}
