package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// clock is the time of a test's authority.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// authority makes one at start, and its clock.
func authority(t testing.TB) (*Authority, *clock) {
	t.Helper()
	cert, key, err := New("bottle test", start)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{start}
	a, err := load(cert, key, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func parse(t testing.TB, c *tls.Certificate) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestNew(t *testing.T) {
	certPEM, keyPEM, err := New("bottle web", start)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(rest) > 0 {
		t.Fatal(err, rest)
	}
	switch {
	case cert.Subject.CommonName != "bottle web":
		t.Errorf("called %q", cert.Subject.CommonName)
	case !cert.IsCA || cert.MaxPathLen != 0 || !cert.MaxPathLenZero:
		t.Error("not a CA of path length 0")
	case cert.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(cert.SubjectKeyId) == 0:
		t.Error("no key usage or subject key id, which strict clients want")
	case !cert.NotBefore.Equal(start.Add(-time.Hour)) || cert.NotAfter.Sub(start) != authorityLife:
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
	if b, _ := pem.Decode(keyPEM); b.Type != "PRIVATE KEY" {
		t.Errorf("key is a %s", b.Type)
	}
	other, _, _ := New("bottle web", start)
	if bytes.Equal(certPEM, other) {
		t.Error("two authorities are one")
	}
}

func TestLeafVerifies(t *testing.T) {
	a, _ := authority(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CertPEM())
	long := strings.Repeat(strings.Repeat("a", 49)+".", 4) + "example.com"
	for _, host := range []string{"example.com", "a_b.example.com", long, strings.Repeat("a", 63) + ".b", "127.0.0.1", "::1", "2001:db8::7", "localhost"} {
		for name, get := range map[string]func(string) (*tls.Certificate, error){"allowed": a.Leaf, "refused": a.LeafForRefused} {
			c, err := get(host)
			if err != nil {
				t.Errorf("%s %s: %v", name, host, err)
				continue
			}
			leaf := parse(t, c)
			opts := x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: start}
			if _, err := leaf.Verify(opts); err != nil {
				t.Errorf("%s %s: %v", name, host, err)
			}
			if len(leaf.DNSNames)+len(leaf.IPAddresses) != 1 {
				t.Errorf("%s %s: SAN %v %v", name, host, leaf.DNSNames, leaf.IPAddresses)
			}
			opts.DNSName = "other.example"
			if _, err := leaf.Verify(opts); err == nil {
				t.Errorf("%s %s: verifies for another name", name, host)
			}
		}
	}
}

func TestLeafTemplate(t *testing.T) {
	a, _ := authority(t)
	c, err := a.Leaf("example.com")
	if err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, c)
	if leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Error("not a plain leaf")
	}
	if len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("extended key usage %v", leaf.ExtKeyUsage)
	}
	if !leaf.NotBefore.Equal(start.Add(-time.Hour)) || leaf.NotAfter.Sub(leaf.NotBefore) > 825*24*time.Hour {
		t.Errorf("valid from %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
	if !bytes.Equal(leaf.AuthorityKeyId, a.cert.SubjectKeyId) || len(c.Certificate) != 1 {
		t.Error("does not point at its authority")
	}
	other, err := a.Leaf("b.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if parse(t, other).SerialNumber.Cmp(leaf.SerialNumber) == 0 {
		t.Error("two leaves share a serial")
	}
	if other.PrivateKey.(*ecdsa.PrivateKey) != c.PrivateKey.(*ecdsa.PrivateKey) {
		t.Error("two leaves have two keys")
	}
}

func TestLeafRefuses(t *testing.T) {
	a, _ := authority(t)
	for _, host := range []string{"", ".", "a.", ".a", "a..b", "*.example.com", "Example.com", "a b", "a\x00b", "b\xc3\xbccher.de", "[::1]", "fe80::1%eth0",
		"a/b", "a:443", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "com"} {
		if c, err := a.Leaf(host); err == nil {
			t.Errorf("%q: got a leaf for %v", host, parse(t, c).DNSNames)
		}
	}
	if n := a.allowed.order.Len(); n != 0 {
		t.Errorf("%d failures are kept", n)
	}
}

// TestHandshake ends TLS for a real client with each version.
func TestHandshake(t *testing.T) {
	certPEM, keyPEM, err := New("bottle test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, err := Load(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CertPEM())
	long := strings.Repeat("a", 60) + ".very-long-label.example.com"
	for _, host := range []string{"api.example.com", long, "127.0.0.1", "::1"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := &tls.Config{RootCAs: roots, ServerName: host, MinVersion: version, MaxVersion: version}
			server := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.Leaf(host) }}
			if err := handshake(t, client, server); err != nil {
				t.Errorf("%s, TLS %x: %v", host, version, err)
			}
			client.ServerName = "other.example"
			if err := handshake(t, client, server); err == nil {
				t.Errorf("%s passes for another", host)
			}
		}
	}
}

// handshake runs one over loopback and returns the client's error.
func handshake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s, err := ln.Accept()
		if err != nil {
			return
		}
		defer s.Close()
		conn := tls.Server(s, server)
		if conn.Handshake() == nil {
			io.WriteString(conn, "hi")
		}
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 2))
		conn.Close()
	}
	<-done
	return err
}
