package ca

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// slow is the leaf of host as package x509 makes it, with the serial given.
func slow(t testing.TB, a *Authority, host string, from, to time.Time, serial *big.Int) []byte {
	t.Helper()
	tmpl := pattern()
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter, tmpl.DNSNames = serial, from, to, nil
	if len(host) <= 64 {
		tmpl.Subject = pkix.Name{CommonName: host}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		tmpl.IPAddresses = []net.IP{ip.Unmap().AsSlice()}
	} else {
		tmpl.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, a.leafKey.Public(), a.mint.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// checkMinted compares a minted leaf with that of package x509: all that is signed
// byte for byte, and each field that was parsed.
func checkMinted(t testing.TB, a *Authority, host string, from, to time.Time) {
	t.Helper()
	der, err := a.mint.sign(host, from, to)
	if err != nil {
		t.Fatal(err)
	}
	got, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	want, err := x509.ParseCertificate(slow(t, a, host, from, to, got.SerialNumber))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.RawTBSCertificate, want.RawTBSCertificate) {
		t.Fatalf("%s:\n got %x\nwant %x", host, got.RawTBSCertificate, want.RawTBSCertificate)
	}
	for _, c := range []*x509.Certificate{got, want} { // no two signatures are the same
		c.Raw, c.Signature = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", host, got, want)
	}
	if err := a.cert.CheckSignature(got.SignatureAlgorithm, got.RawTBSCertificate, mustParse(t, der).Signature); err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	if serial := got.SerialNumber; serial.Sign() <= 0 || serial.BitLen() != 127 {
		t.Fatalf("serial %x", serial)
	}
}

func mustParse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// randomHost is a canonical name of any length, or an address.
func randomHost(r *mathrand.Rand) string {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	switch r.IntN(8) {
	case 0:
		return netip.AddrFrom4([4]byte(b[:4])).String()
	case 1:
		return netip.AddrFrom16(b).String()
	}
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	var host strings.Builder
	for size := 1 + r.IntN(253); ; host.WriteByte('.') {
		left := size - host.Len()
		n := min(left, 1+r.IntN(63))
		if n == left-1 { // no room for another label
			n = max(1, n-1)
		}
		for range n {
			host.WriteByte(letters[r.IntN(len(letters))])
		}
		if host.Len() >= size-1 {
			return host.String()
		}
	}
}

func TestMintedIsAsX509Makes(t *testing.T) {
	a, _ := authority(t)
	seed := mathrand.Uint64()
	t.Logf("seed %d", seed)
	r := mathrand.New(mathrand.NewPCG(seed, 0))
	hosts := []string{"a", "a_b.example", "::", "::1", "0.0.0.0", "255.255.255.255", strings.Repeat("a", 63), "1.example",
		strings.Repeat("a", 62) + ".b", strings.Repeat("a", 62) + ".bc", strings.Repeat("a.", 126) + "b", "xn--bcher-kva.example"}
	for range 300 {
		hosts = append(hosts, randomHost(r))
	}
	for _, host := range hosts {
		if err := checkHost(host); err != nil {
			t.Fatal(err)
		}
		from := time.Unix(r.Int64N(250*365*24*3600), r.Int64N(1e9))
		checkMinted(t, a, host, from, from.Add(leafLife))
	}
	for _, at := range []string{"2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2031-05-06T07:08:09+02:00"} {
		from, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		checkMinted(t, a, "example.com", from, from.Add(time.Second))
	}
}

// FuzzLeaf: every host that Leaf accepts has the leaf that package x509 would
// make, and it verifies for that host.
func FuzzLeaf(f *testing.F) {
	a, _ := authority(f)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	for _, host := range []string{"example.com", "127.0.0.1", "::1", "a_b", "::ffff:1.2.3.4", "1.2.3", strings.Repeat("a", 63) + "." + strings.Repeat("b", 63)} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if checkHost(host) != nil {
			if _, err := a.Leaf(host); err == nil {
				t.Fatalf("%q has a leaf", host)
			}
			return
		}
		checkMinted(t, a, host, start.Add(-backdate), start.Add(leafLife))
		c, err := a.LeafForRefused(host)
		if err != nil {
			t.Fatal(err)
		}
		leaf := parse(t, c)
		if len(leaf.DNSNames) == 1 && leaf.DNSNames[0] != host || len(leaf.DNSNames)+len(leaf.IPAddresses) != 1 {
			t.Fatalf("%q: %v %v", host, leaf.DNSNames, leaf.IPAddresses)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: start}); err != nil {
			t.Fatalf("%q: %v", host, err)
		}
	})
}
