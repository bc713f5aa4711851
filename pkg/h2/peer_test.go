package h2

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// testTLS is a certificate for 127.0.0.1 made for this run, and who trusts it.
var testTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, _ := x509.ParseCertificate(der)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      roots, NextProtos: []string{"h2"},
	}
})

// site serves connections with this package's server.
type site struct {
	ln    net.Listener
	url   string
	mu    sync.Mutex
	conns map[*ServerConn]bool
	wg    sync.WaitGroup
}

func newSite(t testing.TB, cfg Config, handle func(*Stream)) *site {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", testTLS())
	if err != nil {
		t.Fatal(err)
	}
	w := &site{ln: ln, url: "https://" + ln.Addr().String(), conns: map[*ServerConn]bool{}}
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s := NewServer(c, cfg, handle)
			w.mu.Lock()
			w.conns[s] = true
			w.mu.Unlock()
			w.wg.Add(1)
			go func() {
				defer w.wg.Done()
				s.Serve()
				w.mu.Lock()
				delete(w.conns, s)
				w.mu.Unlock()
			}()
		}
	}()
	t.Cleanup(w.close)
	return w
}

func (w *site) close() {
	w.ln.Close()
	w.mu.Lock()
	for s := range w.conns {
		s.Close()
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// goClient is net/http's client of HTTP/2.
func goClient(t testing.TB) *http.Client {
	tr := &http2.Transport{TLSClientConfig: testTLS().Clone()}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// goServer is net/http's server of HTTP/2.
func goServer(t testing.TB, h http.Handler) (addr string) {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", testTLS())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	if err := http2.ConfigureServer(srv, nil); err != nil {
		t.Fatal(err)
	}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

// dial opens a connection with this package's client.
func dial(t testing.TB, addr string, cfg Config) *Client {
	c, err := tls.Dial("tcp", addr, testTLS())
	if err != nil {
		t.Fatal(err)
	}
	cl, err := NewClient(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}
