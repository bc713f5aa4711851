package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"bottle/pkg/http1"
	"bottle/pkg/route"
)

// FuzzConnect: an authority that is accepted has a canonical host, and its own
// spelling means the same.
func FuzzConnect(f *testing.F) {
	for _, s := range []string{"a.test:443", "A.test.:80", "[::1]:443", "1.2.3.4:1", "a:b:c", "[a]:1", "u@h:1", "127.1:80", "a.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		dest, err := connectTarget(&http1.Request{Method: "CONNECT", Target: s})
		if err != nil {
			return
		}
		if host, err := route.CanonicalHost(dest.host); err != nil || host != dest.host {
			t.Fatalf("%q: host %q is not canonical", s, dest.host)
		}
		again, err := connectTarget(&http1.Request{Method: "CONNECT", Target: dest.addr(),
			Header: http1.Header{{Name: "Host", Value: dest.addr()}}})
		if err != nil || again != dest {
			t.Fatalf("%q: %+v, then %+v %v", s, dest, again, err)
		}
	})
}

// FuzzTarget: what is sent is what came, byte for byte.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "//x?y", "/%7e?a=%2f", "*", "https://a.test/x", "https://a.test?q", "https://b.test/", "HTTPS://A.TEST:443/", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		dest, err := target{scheme: "https", host: "a.test", port: 443}.withTarget("OPTIONS", s)
		if err != nil {
			return
		}
		if dest.host != "a.test" || dest.port != 443 || !strings.HasSuffix(s, strings.TrimPrefix(dest.raw, "/")) ||
			(strings.HasPrefix(s, "/") || s == "*") && dest.raw != s || !strings.HasPrefix(dest.raw, dest.path) || strings.Contains(dest.path, "?") {
			t.Fatalf("%q: %+v", s, dest)
		}
	})
}

// FuzzHello: no input makes readHello panic; what it takes is what came.
func FuzzHello(f *testing.F) {
	f.Add(clientHello(f, "yes.test"))
	f.Add(clientHello(f, ""))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		taken, _, err := readHello(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && !bytes.HasPrefix(b, taken) {
			t.Fatal("other bytes than those that came")
		}
	})
}

func TestReadHello(t *testing.T) {
	for _, name := range []string{"yes.test", ""} {
		b := clientHello(t, name)
		taken, got, err := readHello(bufio.NewReader(bytes.NewReader(b)))
		if err != nil || got != name || !bytes.Equal(taken, b) {
			t.Errorf("%q: %q %v", name, got, err)
		}
	}
}

// clientHello is crypto/tls's own.
func clientHello(t testing.TB, name string) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer there.Close()
	go func() {
		tls.Client(here, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		here.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(there, head); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(there, rest); err != nil {
		t.Fatal(err)
	}
	return append(head, rest...)
}
