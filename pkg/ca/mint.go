package ca

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"time"
)

// A mint makes the certificates of one authority. What they share is taken, as
// DER, from one that package x509 made; only the serial, the dates, the subject
// and the SAN are written anew. That costs a signature and little more, where
// x509.CreateCertificate encodes by reflection and verifies what it has signed.
type mint struct {
	key        *ecdsa.PrivateKey // the authority's
	version    []byte
	algorithm  []byte // of the signature
	issuer     []byte
	publicKey  []byte
	extensions []byte // all but the SAN, which is the last
}

// newMint takes a certificate with one SAN, signed by key, for a pattern.
func newMint(key *ecdsa.PrivateKey, pattern []byte) (*mint, error) {
	var c struct {
		TBS struct {
			Version    asn1.RawValue
			Serial     asn1.RawValue
			Algorithm  asn1.RawValue
			Issuer     asn1.RawValue
			Validity   asn1.RawValue
			Subject    asn1.RawValue
			PublicKey  asn1.RawValue
			Extensions []asn1.RawValue `asn1:"explicit,tag:3"`
		}
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(pattern, &c); err != nil || len(rest) > 0 || len(c.TBS.Extensions) < 2 {
		return nil, fmt.Errorf("the pattern of leaves: %v", err)
	}
	m := &mint{key: key, version: c.TBS.Version.FullBytes, algorithm: c.Algorithm.FullBytes,
		issuer: c.TBS.Issuer.FullBytes, publicKey: c.TBS.PublicKey.FullBytes}
	for _, e := range c.TBS.Extensions[:len(c.TBS.Extensions)-1] {
		m.extensions = append(m.extensions, e.FullBytes...)
	}
	return m, nil
}

// Tags of DER (X.690 §8), and what RFC 5280 tags by itself.
const (
	tagBitString   = 0x03
	tagInteger     = 0x02
	tagOctets      = 0x04
	tagUTF8        = 0x0c
	tagPrintable   = 0x13
	tagUTCTime     = 0x17
	tagGeneralTime = 0x18
	tagSequence    = 0x30
	tagSet         = 0x31
	tagExtensions  = 0xa3 // §4.1: [3] EXPLICIT
	tagDNSName     = 0x82 // §4.2.1.6: [2] IMPLICIT IA5String
	tagIPAddress   = 0x87 // §4.2.1.6: [7] IMPLICIT OCTET STRING
)

var (
	oidCommonName = []byte{0x06, 0x03, 0x55, 0x04, 0x03} // 2.5.4.3
	oidSAN        = []byte{0x06, 0x03, 0x55, 0x1d, 0x11} // 2.5.29.17
	derTrue       = []byte{0x01, 0x01, 0xff}
)

// element is one DER element of the parts.
func element(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := append(make([]byte, 0, n+4), tag)
	switch { // X.690 §10.1: the shortest form
	case n < 1<<7:
		b = append(b, byte(n))
	case n < 1<<8:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// sign makes the certificate of host, which must be canonical.
func (m *mint) sign(host string, from, to time.Time) ([]byte, error) {
	subject := commonName(host)
	tbs := element(tagSequence,
		m.version,
		element(tagInteger, serial()),
		m.algorithm,
		m.issuer,
		element(tagSequence, date(from), date(to)),
		subject,
		m.publicKey,
		element(tagExtensions, element(tagSequence, m.extensions, san(host, len(subject) == len("0\x00")))))
	hash := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, m.key, hash[:])
	if err != nil {
		return nil, err
	}
	return element(tagSequence, tbs, m.algorithm, element(tagBitString, []byte{0}, signature)), nil
}

// commonName is a subject. RFC 5280 A.1 allows a CommonName 64 characters; the
// subject of a longer host is empty. Clients read the SAN alone (RFC 9110 §4.3.4).
func commonName(host string) []byte {
	if len(host) > 64 {
		return element(tagSequence)
	}
	tag := byte(tagPrintable)
	for i := range len(host) {
		if host[i] == '_' { // the one of our characters that X.680 §41.4 lacks
			tag = tagUTF8
		}
	}
	return element(tagSequence, element(tagSet, element(tagSequence, oidCommonName, element(tag, []byte(host)))))
}

// san is the extension that names host, which RFC 5280 §4.2.1.6 wants critical
// when nothing else does.
func san(host string, critical bool) []byte {
	name := element(tagDNSName, []byte(host))
	if ip, err := netip.ParseAddr(host); err == nil {
		name = element(tagIPAddress, ip.Unmap().AsSlice())
	}
	value := element(tagOctets, element(tagSequence, name))
	if critical {
		return element(tagSequence, oidSAN, derTrue, value)
	}
	return element(tagSequence, oidSAN, value)
}

// date is a Time of RFC 5280 §4.1.2.5: to the second, UTCTime before 2050.
func date(t time.Time) []byte {
	t = t.UTC()
	if t.Year() < 2050 {
		return element(tagUTCTime, t.AppendFormat(nil, "060102150405Z"))
	}
	return element(tagGeneralTime, t.AppendFormat(nil, "20060102150405Z"))
}
