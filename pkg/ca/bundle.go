package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// systemRoots is where distributions keep their roots, in the order in which
// crypto/x509 looks (root_linux.go). SSL_CERT_FILE is not asked: the operator's
// environment does not decide what an agent trusts.
var systemRoots = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
	"/etc/ssl/cert.pem",                                 // Alpine
}

// Bundle returns the system's root certificates followed by those of extra, as
// PEM. Each extra must be certificates and nothing else, so that a key handed
// over by mistake goes no further. Without system roots the error is
// fs.ErrNotExist.
func Bundle(extra ...[]byte) ([]byte, error) { return bundle(systemRoots, extra) }

func bundle(files []string, extra [][]byte) ([]byte, error) {
	roots, err := firstOf(files)
	if err != nil {
		return nil, err
	}
	out := withNewline(roots)
	for _, p := range extra {
		if err := onlyCerts(p); err != nil {
			return nil, err
		}
		out = withNewline(append(out, p...))
	}
	return out, nil
}

func withNewline(b []byte) []byte {
	if bytes.HasSuffix(b, []byte("\n")) {
		return b
	}
	return append(b, '\n')
}

func firstOf(files []string) ([]byte, error) {
	for _, f := range files {
		data, err := os.ReadFile(f)
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return nil, fmt.Errorf("no system root certificates: %w; wanted one of %s\nhint: install ca-certificates",
		fs.ErrNotExist, strings.Join(files, " "))
}

// onlyCerts checks that data is certificates in PEM and holds nothing that
// must not be shown, such as a key.
func onlyCerts(data []byte) error {
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("PEM block %q in a bundle; wanted CERTIFICATE alone", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("a certificate in a bundle: %v; wanted an X.509 certificate", err)
		}
		n++
	}
	if n == 0 || n != bytes.Count(data, []byte("-----BEGIN ")) {
		return errors.New("damaged PEM or none in a bundle; wanted blocks CERTIFICATE")
	}
	return nil
}
