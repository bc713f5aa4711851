package ca

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// leaf is a signed certificate and the time in which it is handed out, in seconds
// since 1970.
type leaf struct {
	cert        *tls.Certificate
	from, until int64
}

func (l leaf) fresh(now time.Time) bool {
	t := now.Unix()
	return l.from <= t && t < l.until
}

// sign makes the leaf of host.
func (a *Authority) sign(host string, now time.Time) (leaf, error) {
	if !now.Before(a.cert.NotAfter) {
		return leaf{}, fmt.Errorf("the authority expired on %s; wanted a valid one", a.cert.NotAfter.Format(time.DateOnly))
	}
	if err := checkHost(host); err != nil {
		return leaf{}, err
	}
	// Neither outlasts the authority. In its last month a renewed leaf would
	// end no later than the old one, so that is kept to the end.
	from, to := now.Add(-backdate), earlier(now.Add(leafLife), a.cert.NotAfter)
	until := earlier(now.Add(leafLife-renewAhead), a.cert.NotAfter)
	der, err := a.mint.sign(host, from, to)
	if err != nil {
		return leaf{}, fmt.Errorf("leaf for %q: %v", host, err)
	}
	chain := append([][]byte{der}, a.chain...)
	return leaf{&tls.Certificate{Certificate: chain, PrivateKey: a.leafKey}, from.Unix(), until.Unix()}, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// pattern is a leaf but for what the mint writes anew; it is never handed out.
func pattern() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"pattern.invalid"},
	}
}

// checkHost accepts a canonical name or address.
func checkHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return nil
	}
	return checkName(host)
}

// checkName accepts what SECURITY calls canonical: labels of 1 to 63 of a-z 0-9
// - _, at most 253 in all.
func checkName(host string) error {
	const wanted = "wanted a DNS name in lower case or an IP address"
	if host == "" || len(host) > 253 {
		return fmt.Errorf("host of %d bytes; %s", len(host), wanted)
	}
	for label := range strings.SplitSeq(host, ".") {
		odd := strings.IndexFunc(label, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
		})
		if label == "" || len(label) > 63 || odd >= 0 {
			return fmt.Errorf("host %q; %s", host, wanted)
		}
	}
	return nil
}
