package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	inFlight  = 32 // requests at once in ka and h2
	h2Conns   = 2  // connections that carry them in h2
	handshake = 8  // tunnels that are opened at once
)

// keepAlive is the cell ka.
func keepAlive(l *lap) (values, error) {
	cs, err := l.clients(inFlight)
	if err != nil {
		return nil, err
	}
	defer cs.Close()
	request := cs[0].head("GET", "/", "")
	y, err := l.together(len(cs), timed(func(i int) error {
		_, err := cs[i].do(request)
		return err
	}))
	if err != nil {
		return nil, err
	}
	return y.values(1, micro), nil
}

// http2 is the cell h2.
func http2(l *lap) (values, error) {
	var agents [h2Conns]*http.Transport
	for i := range agents {
		a := l.http2Agent()
		defer a.CloseIdleConnections()
		if err := l.http2Get(a); err != nil {
			return nil, err
		}
		agents[i] = a
	}
	y, err := l.together(inFlight, timed(func(i int) error { return l.http2Get(agents[i%h2Conns]) }))
	if err != nil {
		return nil, err
	}
	return y.values(1, micro), nil
}

// http2Agent keeps one connection, on which HTTP/2 was agreed.
func (l *lap) http2Agent() *http.Transport {
	tr := &http.Transport{ForceAttemptHTTP2: true, DisableCompression: true}
	tr.DialTLSContext = func(context.Context, string, string) (net.Conn, error) {
		c, err := l.target.dial(l.ctx, l.target.Host, "h2", "http/1.1")
		if err != nil {
			return nil, err
		}
		if c.ConnectionState().NegotiatedProtocol != "h2" {
			c.Close()
			return nil, errors.New("HTTP/2 is not offered")
		}
		return c.Conn, nil
	}
	return tr
}

func (l *lap) http2Get(a *http.Transport) error {
	r, err := http.NewRequestWithContext(l.ctx, "GET", "https://"+net.JoinHostPort(l.target.Host, l.target.Port)+"/", nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "bench/1")
	r.Header.Set("Content-Type", "application/json")
	resp, err := a.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d; wanted 200", resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// knownHost is the cell hs.
func knownHost(l *lap) (values, error) { return l.tunnels(func() string { return l.target.Host }) }

// unseenHost is the cell hsm.
func unseenHost(l *lap) (values, error) { return l.tunnels(l.target.newHost) }

// tunnels opens connections, each for one request, with full handshakes.
func (l *lap) tunnels(host func() string) (values, error) {
	y, err := l.together(handshake, timed(func(int) error {
		c, err := l.target.visit(l.ctx, host())
		if err == nil {
			c.Close()
		}
		return err
	}))
	if err != nil {
		return nil, err
	}
	return y.values(1, micro), nil
}

// startUp is the cell start: a new process, until it has answered once.
func startUp(l *lap) (values, error) {
	if err := l.target.restart(l.ctx); err != nil {
		return nil, err
	}
	took := l.target.took
	if err := l.pause(min(l.dur, 300*time.Millisecond)); err != nil {
		return nil, err
	}
	return values{"ms": float64(took.Microseconds()) / 1e3, "mib": float64(residentKiB(l.target.session())) / 1024}, nil
}
