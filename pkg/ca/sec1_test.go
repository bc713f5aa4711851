package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func TestSEC1(t *testing.T) {
	cert, key, err := New("bottle test", start)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := SEC1(key)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(sec1)
	if block == nil || block.Type != "EC PRIVATE KEY" || len(rest) > 0 {
		t.Fatalf("got %v and %d bytes more", block, len(rest))
	}
	if _, err := x509.ParseECPrivateKey(block.Bytes); err != nil {
		t.Error(err)
	}
	if _, err := load(cert, sec1, (&clock{start}).now); err != nil {
		t.Errorf("the pair: %v", err)
	}
	if _, err := SEC1(cert); err == nil || strings.Contains(err.Error(), "BEGIN") {
		t.Errorf("a certificate for a key: got %v", err)
	}
}

func TestJoin(t *testing.T) {
	key := generate(t, elliptic.P256())
	a, b := certify(t, key, nil), certify(t, key, nil)
	got, err := Join(nil, []byte(strings.TrimRight(string(a), "\n")), []byte("\n"), b)
	if err != nil || count(t, got) != 2 {
		t.Errorf("got %d certificates, %v; want 2", count(t, got), err)
	}
	if got, err := Join(nil, nil); err != nil || got != nil {
		t.Errorf("nothing: got %q, %v", got, err)
	}
	if _, err := Join(a, pkcs8(t, key)); err == nil {
		t.Error("a key went through")
	}
}
