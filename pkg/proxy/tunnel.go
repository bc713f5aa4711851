package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"bottle/pkg/route"
)

// passthrough joins the agent's TLS to the origin's without ending it. The name
// in the ClientHello must be the CONNECT's (SPEC: a passthrough route).
func (a *agentConn) passthrough(r *route.Route) {
	a.proto = "tunnel"
	x := a.newExchange()
	x.method, x.dest, x.route = "CONNECT", *a.dest, r
	x.cutting.agent, x.cutting.started = a, true // a cut ends the tunnel
	a.enter(x)
	defer x.finish()
	defer x.log()
	hello, name, err := readHello(a.br)
	if err != nil {
		x.note("block", codeNotHTTP, "the ClientHello cannot be read: "+printable(clip(err.Error())))
		return
	}
	host, err := route.CanonicalHost(name)
	if err != nil || host != a.dest.host {
		x.note("block", codeMismatch, errSNI.Error())
		return
	}
	if d := x.admit(); !d.Allow {
		x.note("block", d.Code, d.Reason)
		return
	} else if d.Route.TLS != route.Passthrough {
		// A reload while the agent held back its ClientHello: what the route
		// now demands cannot be seen from here.
		x.note("block", "route-removed", errTakenAway.Error())
		return
	}
	x.joinTunnel(a, hello)
}

func (x *exchange) joinTunnel(a *agentConn, hello []byte) {
	ctx, done := x.context()
	defer done()
	ctx, cancel := context.WithTimeout(ctx, x.p.Limits.Dial)
	defer cancel()
	up, err := x.p.dial.reach(ctx, x.dest)
	if err != nil {
		err, code := x.p.dial.explain(ctx, x.dest, err), codeUpstream
		var f *fault
		if errors.As(err, &f) {
			code = f.code
		}
		x.note("error", code, printable(err.Error()))
		return
	}
	defer up.Close()
	if !x.hold(up) {
		return
	}
	x.left = true
	if _, err := up.Write(hello); err != nil {
		x.note("error", codeUpstream, printable(err.Error()))
		return
	}
	x.access.Verdict = "allow"
	x.access.UpstreamProto = "tunnel"
	x.sent.Add(int64(len(hello)))
	x.join(a, &upConn{Conn: up, br: bufio.NewReader(up)})
}

// errSeen ends a handshake once the ClientHello was read.
var errSeen = errors.New("seen")

// readHello reads a ClientHello with crypto/tls's own parser and returns the
// bytes it took, to be sent on, and the name in it.
func readHello(br *bufio.Reader) (hello []byte, name string, err error) {
	var taken bytes.Buffer
	err = tls.Server(onlyRead{io.TeeReader(br, &taken)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name = h.ServerName
			return nil, errSeen
		},
	}).Handshake()
	if errors.Is(err, errSeen) {
		return taken.Bytes(), name, nil
	}
	return nil, "", err
}

// onlyRead is a connection that can only be read; alerts go nowhere.
type onlyRead struct{ io.Reader }

func (onlyRead) Write(p []byte) (int, error)      { return len(p), nil }
func (onlyRead) Close() error                     { return nil }
func (onlyRead) LocalAddr() net.Addr              { return nil }
func (onlyRead) RemoteAddr() net.Addr             { return nil }
func (onlyRead) SetDeadline(time.Time) error      { return nil }
func (onlyRead) SetReadDeadline(time.Time) error  { return nil }
func (onlyRead) SetWriteDeadline(time.Time) error { return nil }
