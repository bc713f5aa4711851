package ca

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// leaf is a signed certificate and the time in which it is handed out.
type leaf struct {
	cert        *tls.Certificate
	from, until time.Time
}

func (l leaf) fresh(now time.Time) bool { return !now.Before(l.from) && now.Before(l.until) }

// sign makes the leaf of host.
func (a *Authority) sign(host string, now time.Time) (leaf, error) {
	if !now.Before(a.cert.NotAfter) {
		return leaf{}, fmt.Errorf("the authority expired on %s; wanted a valid one", a.cert.NotAfter.Format(time.DateOnly))
	}
	tmpl, err := template(host)
	if err != nil {
		return leaf{}, err
	}
	// Neither outlasts the authority. In its last month a renewed leaf would
	// end no later than the old one, so that is kept to the end.
	tmpl.NotBefore = now.Add(-backdate)
	tmpl.NotAfter = earlier(now.Add(leafLife), a.cert.NotAfter)
	until := earlier(now.Add(leafLife-renewAhead), a.cert.NotAfter)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, a.leafKey.Public(), a.key)
	if err != nil {
		return leaf{}, fmt.Errorf("leaf for %q: %v", host, err)
	}
	chain := append([][]byte{der}, a.chain...)
	return leaf{&tls.Certificate{Certificate: chain, PrivateKey: a.leafKey}, tmpl.NotBefore, until}, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// template is the certificate of host but for its dates.
func template(host string) (*x509.Certificate, error) {
	tmpl := &x509.Certificate{
		SerialNumber:          serial(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	// RFC 5280 A.1 allows a CommonName 64 characters. Clients read the SAN
	// alone (RFC 9110 §4.3.4); x509 marks it critical when there is no subject.
	if len(host) <= 64 {
		tmpl.Subject = pkix.Name{CommonName: host}
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		tmpl.IPAddresses = []net.IP{ip.Unmap().AsSlice()}
		return tmpl, nil
	}
	if err := checkName(host); err != nil {
		return nil, err
	}
	tmpl.DNSNames = []string{host}
	return tmpl, nil
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
