package interop

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
)

// An origin is a server with TLS on loopback, called localhost.
type origin struct {
	signer *authority
	port   int
}

// serveOrigin serves h over TLS in the given protocols, of which ALPN picks.
func serveOrigin(t *testing.T, h http.Handler, protos ...string) *origin {
	t.Helper()
	ln, o := listenOrigin(t)
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols)}
	for _, p := range protos {
		srv.Protocols.SetHTTP1(srv.Protocols.HTTP1() || p == "http/1.1")
		srv.Protocols.SetHTTP2(srv.Protocols.HTTP2() || p == "h2")
	}
	srv.TLSConfig = o.tls(t)
	go srv.ServeTLS(ln, "", "")
	t.Cleanup(func() { srv.Close() })
	return o
}

// listenOrigin listens for an origin that somebody else serves.
func listenOrigin(t *testing.T) (net.Listener, *origin) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln, &origin{signer: newAuthority(t, "origins"), port: ln.Addr().(*net.TCPAddr).Port}
}

func (o *origin) tls(t *testing.T) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{o.signer.leaf(t, "localhost", "127.0.0.1", "grpc.test")}}
}

func (o *origin) authority() string { return fmt.Sprintf("localhost:%d", o.port) }

func (o *origin) url(path string) string { return "https://" + o.authority() + path }

// client is a client of net/http that goes straight to the origin.
func (o *origin) client(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: o.signer.pool}, ForceAttemptHTTP2: h2,
		DisableCompression: true, ExpectContinueTimeout: limit}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 2 * limit}
}

// proxy starts a proxy that allows this origin.
func (o *origin) proxy(t *testing.T, flags ...string) *proxy {
	t.Helper()
	return startProxy(t, o.signer, o.table(), flags...)
}

func (o *origin) table() string {
	return fmt.Sprintf("routes: [{host: localhost, ports: [%d]}]\n", o.port)
}

// serveMapper is a second proxy to which every name is the address to.
func serveMapper(t *testing.T, to string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up, err := net.Dial("tcp", to)
		if err != nil || r.Method != "CONNECT" {
			w.WriteHeader(502)
			return
		}
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			up.Close()
			return
		}
		io.WriteString(c, "HTTP/1.1 200 Connection Established\r\n\r\n")
		join(c, up, rw)
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

// join copies both ways until both sides have ended. What came from a so far
// is in early.
func join(a, b net.Conn, early io.Reader) {
	done := make(chan bool)
	go func() {
		io.Copy(b, early)
		b.(*net.TCPConn).CloseWrite()
		close(done)
	}()
	io.Copy(a, b)
	a.(*net.TCPConn).CloseWrite()
	<-done
	a.Close()
	b.Close()
}
