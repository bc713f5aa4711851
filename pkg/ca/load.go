package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Load reads an authority from the PEM of its certificate and of its ECDSA
// P-256 key (PKCS#8 or SEC1). Anything that clients would find out only in a
// handshake is an error here: another kind of key, a certificate that may not
// sign or is not the key's, one that has expired.
func Load(certPEM, keyPEM []byte) (*Authority, error) { return load(certPEM, keyPEM, time.Now) }

func load(certPEM, keyPEM []byte, now func() time.Time) (*Authority, error) {
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	if err := checkAuthority(cert, key, now()); err != nil {
		return nil, err
	}
	return newAuthority(cert, key, now)
}

// parseCert wants one certificate and nothing else in the PEM.
func parseCert(data []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("authority certificate: no certificate; wanted one PEM block CERTIFICATE")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, fmt.Errorf("authority certificate: a second PEM block %q; wanted the certificate alone", more.Type)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("authority certificate: %v; wanted an X.509 certificate", err)
	}
	return cert, nil
}

// parseKey reads the first key block. No error repeats any of its bytes.
func parseKey(data []byte) (*ecdsa.PrivateKey, error) {
	const wanted = "wanted an ECDSA P-256 key, PKCS#8 or SEC1"
	block, rest := pem.Decode(data)
	for block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes them first
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, errors.New("authority key: no PEM block; " + wanted)
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("authority key: PEM block %q; %s", block.Type, wanted)
	}
	if err != nil {
		return nil, errors.New("authority key: damaged; " + wanted)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		kind := strings.TrimPrefix(strings.TrimSuffix(fmt.Sprintf("%T", key), ".PrivateKey"), "*")
		return nil, fmt.Errorf("authority key: of kind %s; %s", kind, wanted)
	}
	if ec.Curve != elliptic.P256() {
		return nil, fmt.Errorf("authority key: on curve %s; %s", ec.Curve.Params().Name, wanted)
	}
	return ec, nil
}

// checkAuthority checks that cert may sign leaves now, with key.
func checkAuthority(cert *x509.Certificate, key *ecdsa.PrivateKey, now time.Time) error {
	switch {
	case !key.PublicKey.Equal(cert.PublicKey):
		return errors.New("authority key: not the certificate's; wanted the key it was made with")
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return errors.New("authority certificate: not a CA; wanted basicConstraints CA:TRUE")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("authority certificate: may not sign certificates; wanted keyUsage keyCertSign")
	case !now.Before(cert.NotAfter):
		return fmt.Errorf("authority certificate: expired on %s; wanted a valid one", cert.NotAfter.Format(time.DateOnly))
	case now.Before(cert.NotBefore.Add(-backdate)):
		return fmt.Errorf("authority certificate: valid only from %s; wanted a valid one", cert.NotBefore.Format(time.DateOnly))
	}
	return nil
}
