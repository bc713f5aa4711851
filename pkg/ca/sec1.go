package ca

import (
	"bytes"
	"crypto/x509"
)

// SEC1 returns the key keyPEM as a block "EC PRIVATE KEY" (RFC 5915), the only
// form that pipelock reads.
func SEC1(keyPEM []byte) ([]byte, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return encode("EC PRIVATE KEY", der), nil
}

// Join returns the certificates of several PEM files as one. Each must be
// certificates and nothing else; an empty one is left out.
func Join(certs ...[]byte) ([]byte, error) {
	var out []byte
	for _, p := range certs {
		if len(bytes.TrimSpace(p)) == 0 {
			continue
		}
		if err := onlyCerts(p); err != nil {
			return nil, err
		}
		out = withNewline(append(out, p...))
	}
	return out, nil
}
