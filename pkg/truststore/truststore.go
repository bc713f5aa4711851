// Package truststore writes certificates as a Java machine reads them, which takes
// no PEM: a keystore of the type JKS that holds trusted certificates and no key.
// Java 9 and later, whose own type is another, read it too.
package truststore

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"
)

// Password is what the store is sealed with: Java's own default. It keeps nothing
// secret, and Java reads certificates without it.
const Password = "changeit"

// The format, as sun.security.provider.JavaKeyStore has it.
const (
	magic   = 0xfeedfeed
	version = 2
	trusted = 2 // the tag of a certificate that is trusted
	salt    = "Mighty Aphrodite"
)

// JKS is a store of the certificates in bundle, which is PEM and may have comments
// and the same certificate twice, as those of systems have. Each was made at now.
func JKS(bundle []byte, now time.Time) ([]byte, error) {
	certs, err := certificates(bundle)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.BigEndian, v) }
	text := func(s string) { // as DataOutputStream.writeUTF has it, for ASCII
		put(uint16(len(s)))
		b.WriteString(s)
	}
	put(uint32(magic))
	put(uint32(version))
	put(uint32(len(certs)))
	for i, der := range certs {
		put(uint32(trusted))
		text(fmt.Sprintf("%03d", i))
		put(now.UnixMilli())
		text("X.509")
		put(uint32(len(der)))
		b.Write(der)
	}
	seal := sha1.New()
	binary.Write(seal, binary.BigEndian, utf16.Encode([]rune(Password)))
	seal.Write([]byte(salt))
	seal.Write(b.Bytes())
	return seal.Sum(b.Bytes()), nil
}

// certificates are those of a bundle, each once.
func certificates(bundle []byte) (certs [][]byte, err error) {
	seen := map[string]bool{}
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a block %q among the certificates; wanted nothing else", block.Type)
		}
		// Java refuses a store with one that it cannot read.
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || seen[string(block.Bytes)] {
			continue
		}
		seen[string(block.Bytes)] = true
		certs = append(certs, block.Bytes)
	}
	if certs == nil {
		return nil, errors.New("no certificates; wanted PEM")
	}
	return certs, nil
}
