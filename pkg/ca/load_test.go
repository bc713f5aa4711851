package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

func generate(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

func sec1(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("EC PRIVATE KEY", der)
}

// certify makes a self-signed certificate, a CA's unless change says otherwise.
func certify(t *testing.T, key crypto.Signer, change func(*x509.Certificate)) []byte {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial()), Subject: pkix.Name{CommonName: "x"}, NotBefore: start, NotAfter: start.Add(48 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", der)
}

func TestLoad(t *testing.T) {
	key := generate(t, elliptic.P256())
	cert := certify(t, key, nil)
	params := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}})
	for name, keyPEM := range map[string][]byte{
		"PKCS#8": pkcs8(t, key), "SEC1": sec1(t, key), "SEC1 behind its parameters": append(params, sec1(t, key)...),
	} {
		a, err := load(cert, keyPEM, (&clock{start}).now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(a.CertPEM()) != string(cert) {
			t.Errorf("%s: another certificate", name)
		}
		if _, err := a.Leaf("example.com"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	key, p384 := generate(t, elliptic.P256()), generate(t, elliptic.P384())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	good, goodKey := certify(t, key, nil), pkcs8(t, key)
	damaged := encode("CERTIFICATE", []byte("damaged"))
	tests := map[string]struct {
		cert, key []byte
		want      string
	}{
		"RSA":               {certify(t, rsaKey, nil), pkcs8(t, rsaKey), "authority key: of kind rsa; wanted an ECDSA P-256 key, PKCS#8 or SEC1"},
		"RSA in PKCS#1":     {good, encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), `PEM block "RSA PRIVATE KEY"; wanted an ECDSA P-256`},
		"Ed25519":           {certify(t, edKey, nil), pkcs8(t, edKey), "of kind ed25519; wanted"},
		"P-384":             {certify(t, p384, nil), pkcs8(t, p384), "on curve P-384; wanted"},
		"P-384 in SEC1":     {certify(t, p384, nil), sec1(t, p384), "on curve P-384; wanted"},
		"no CA":             {certify(t, key, func(c *x509.Certificate) { c.IsCA = false }), goodKey, "not a CA; wanted"},
		"no constraints":    {certify(t, key, func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }), goodKey, "not a CA; wanted"},
		"may not sign":      {certify(t, key, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), goodKey, "may not sign certificates; wanted"},
		"another key":       {good, pkcs8(t, generate(t, elliptic.P256())), "not the certificate's; wanted"},
		"expired":           {certify(t, key, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = start.Add(-9*time.Hour), start }), goodKey, "expired on 2031-05-06; wanted"},
		"not yet valid":     {certify(t, key, func(c *x509.Certificate) { c.NotBefore = start.Add(9 * time.Hour) }), goodKey, "valid only from 2031-05-06"},
		"certificate empty": {nil, goodKey, "no certificate; wanted one PEM block CERTIFICATE"},
		"certificate a key": {goodKey, goodKey, "no certificate; wanted"},
		"garbage":           {[]byte("garbage"), goodKey, "no certificate; wanted"},
		"damaged":           {damaged, goodKey, "wanted an X.509 certificate"},
		"two certificates":  {append(append([]byte(nil), good...), good...), goodKey, "a second PEM block"},
		"key empty":         {good, nil, "authority key: no PEM block; wanted"},
		"key garbage":       {good, []byte("garbage"), "authority key: no PEM block; wanted"},
		"key damaged":       {good, encode("PRIVATE KEY", []byte("damaged")), "authority key: damaged; wanted"},
		"key encrypted":     {good, encode("ENCRYPTED PRIVATE KEY", []byte("x")), `"ENCRYPTED PRIVATE KEY"; wanted`},
		"key a certificate": {good, good, `"CERTIFICATE"; wanted`},
	}
	for name, tt := range tests {
		_, err := load(tt.cert, tt.key, (&clock{start}).now)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tt.want)
		}
	}
}

// TestIntermediate checks that a client gets the authority's certificate when
// it may know only the one above.
func TestIntermediate(t *testing.T) {
	rootKey, key := generate(t, elliptic.P256()), generate(t, elliptic.P256())
	rootPEM := certify(t, rootKey, nil)
	block, _ := pem.Decode(rootPEM)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial()), Subject: pkix.Name{CommonName: "y"}, NotBefore: start, NotAfter: start.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, root, key.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	a, err := load(encode("CERTIFICATE", der), pkcs8(t, key), (&clock{start}).now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Leaf("example.com")
	if err != nil || len(c.Certificate) != 2 {
		t.Fatalf("%d certificates, %v", len(c.Certificate), err)
	}
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: "example.com", CurrentTime: start}
	opts.Roots.AddCert(root)
	middle, _ := x509.ParseCertificate(c.Certificate[1])
	opts.Intermediates.AddCert(middle)
	if _, err := parse(t, c).Verify(opts); err != nil {
		t.Error(err)
	}
}
