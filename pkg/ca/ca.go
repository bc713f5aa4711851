// Package ca is a bottle's certificate authority: it makes one, and signs a
// leaf for every host whose TLS the proxy ends.
package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 30 * 24 * time.Hour // clients refuse more than 825 days
	backdate      = time.Hour           // the agent's clock may be behind ours
	renewAhead    = 24 * time.Hour
)

// New makes an authority: a self-signed certificate called commonName, valid
// from an hour before now for ten years, that may sign leaves only (path length
// 0), and its ECDSA P-256 key. Both are PEM, the key PKCS#8.
func New(commonName string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial()),
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("authority %q: %v", commonName, err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// serial is 127 random bits: unique without a counter on disk, and within the
// 20 octets of RFC 5280 §4.1.2.2. It is positive, and always 16 bytes.
func serial() []byte {
	b := make([]byte, 16)
	rand.Read(b) // never fails since Go 1.24
	b[0] &= 0x7f
	b[0] |= 0x40
	return b
}

// Authority signs leaves. It is safe for several goroutines.
type Authority struct {
	cert    *x509.Certificate
	certPEM []byte
	mint    *mint
	leafKey *ecdsa.PrivateKey // one for all leaves, which never leave the proxy
	chain   [][]byte          // what follows the leaf in a handshake
	now     func() time.Time
	allowed cache
	refused cache
}

// How many leaves are kept. One takes about 800 bytes.
const (
	keepAllowed = 10_000
	keepRefused = 1_000
)

func newAuthority(cert *x509.Certificate, key *ecdsa.PrivateKey, now func() time.Time) (*Authority, error) {
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	pattern, err := x509.CreateCertificate(rand.Reader, pattern(), cert, leafKey.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("authority certificate: %v", err)
	}
	mint, err := newMint(key, pattern)
	if err != nil {
		return nil, err
	}
	a := &Authority{cert: cert, certPEM: encode("CERTIFICATE", cert.Raw), mint: mint, leafKey: leafKey, now: now}
	a.allowed.max, a.refused.max = keepAllowed, keepRefused
	if string(cert.RawSubject) != string(cert.RawIssuer) {
		a.chain = [][]byte{cert.Raw} // an intermediate, which clients may have to be given
	}
	return a, nil
}

// CertPEM returns the authority's certificate for trust stores, as one PEM
// block.
func (a *Authority) CertPEM() []byte { return append([]byte(nil), a.certPEM...) }

// Leaf returns a server certificate for host, a canonical DNS name or an IP
// address without brackets, as its only SAN. It is signed on first use, once
// however many ask at the same time, and kept until a day before it ends. The
// error says that host is neither or that the authority has expired.
// The certificate is shared: it must not be changed. Its Leaf field is nil.
func (a *Authority) Leaf(host string) (*tls.Certificate, error) {
	return a.allowed.get(host, a.now(), a.sign)
}

// LeafForRefused is Leaf for a host that no route allows, so that the refusal
// can be read inside TLS. Its leaves are kept apart: asking for many refused
// names never displaces the leaf of an allowed one.
func (a *Authority) LeafForRefused(host string) (*tls.Certificate, error) {
	return a.refused.get(host, a.now(), a.sign)
}
