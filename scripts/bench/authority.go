package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"bottle/pkg/ca"
)

// An authority signs certificates; the exported fields are files, PEM.
type authority struct {
	CA, CAKey     string
	Leaf, LeafKey string // for the names of the world
	pool          *x509.CertPool
}

// newAuthority makes an authority and its leaf for names, below dir.
func newAuthority(dir, called string, names []string) (*authority, error) {
	caCert, caKey, err := ca.New("bench "+called, time.Now())
	if err != nil {
		return nil, err
	}
	cert, key, err := leaf(caCert, caKey, names)
	if err != nil {
		return nil, err
	}
	base := filepath.Join(dir, called)
	a := &authority{base + "-ca.pem", base + "-ca-key.pem", base + ".pem", base + "-key.pem", x509.NewCertPool()}
	a.pool.AppendCertsFromPEM(caCert)
	for file, data := range map[string][]byte{a.CA: caCert, a.CAKey: caKey, a.Leaf: cert, a.LeafKey: key} {
		// 0644: keys that nobody trusts, gone with the run; squid is not root
		// when it reads them.
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// leaf signs a certificate for names, wildcards among them, which those of
// package ca have not.
func leaf(caCert, caKey []byte, names []string) (cert, key []byte, err error) {
	pair, err := tls.X509KeyPair(caCert, caKey)
	if err != nil {
		return nil, nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		DNSNames:     names,
		NotBefore:    pair.Leaf.NotBefore,
		NotAfter:     time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, pair.Leaf, own.Public(), pair.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
