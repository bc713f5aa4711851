package proxy

import (
	"bytes"
	"crypto/tls"
	"strings"
	"time"

	"bottle/pkg/http1"
	"bottle/pkg/route"
)

// connect accepts a CONNECT. It is accepted even for a host that no route names,
// since clients show the body of an answer inside TLS and not that of an answer to
// CONNECT. Nothing is resolved or dialled before a request inside was decided.
func (a *agentConn) connect() outcome {
	dest, err := connectTarget(&a.req)
	if err != nil {
		a.refuseConnect(err)
		return over
	}
	a.dest, a.due = &dest, time.Time{}
	a.SetDeadline(time.Now().Add(a.p.Limits.Handshake))
	if _, err := a.Conn.Write(established); err != nil {
		return over
	}
	early, _ := a.br.Peek(a.br.Buffered())
	a.in.ahead = append(bytes.Clone(early), a.in.ahead...)
	a.noBuffers()
	return inTunnel
}

var established = []byte("HTTP/1.1 200 Connection Established\r\n\r\n")

// tunnel serves what comes through an accepted CONNECT, once it is known what it
// is.
func (a *agentConn) tunnel() {
	if len(a.in.ahead) == 0 && a.in.wait() != nil {
		a.finish() // the agent sent nothing; whatever speaks first there stays silent
		return
	}
	const handshake = 0x16 // the TLS record type, RFC 8446 §5.1
	first := a.in.ahead[0]
	switch {
	case first == handshake:
		a.proceed(a.throughTLS())
	case a.dest.port == 80 && http1.ValidToken(string(first)):
		// Node's fetch sends CONNECT host:80 with plain HTTP inside.
		a.buffers()
		a.dest.scheme = "http"
		a.dest.name = a.dest.authority()
		a.SetDeadline(time.Time{})
		a.proceed(a.serve())
	default:
		a.buffers()
		a.refuseRaw(first)
		a.finish()
	}
}

// awaitHello waits until the first TLS record is here, or its deadline is over:
// with less room than crypto/tls would.
func (a *agentConn) awaitHello() {
	const header, long = 5, 4 << 10
	for b := a.in.ahead; len(b) < header || len(b) < header+(int(b[3])<<8|int(b[4])) && len(b) < long; b = a.in.ahead {
		if !a.readHere() && a.in.wait() != nil {
			return // it shows again in the handshake
		}
	}
}

// readHere takes what has come, without waiting.
func (a *agentConn) readHere() bool {
	buf := bulks.Get().(*[]byte)
	defer bulks.Put(buf)
	n, _ := a.sock.readNow((*buf)[:4<<10])
	a.in.ahead = append(a.in.ahead, (*buf)[:n]...)
	return n > 0
}

// connectTarget is the destination that a CONNECT names, in its target and
// nowhere else.
func connectTarget(req *http1.Request) (target, error) {
	host, port, err := parseAuthority(req.Target, 0)
	if err != nil {
		return target{}, err
	}
	dest := target{host: strings.Clone(host), port: port}
	if !req.Header.Has("Host") {
		return dest, nil // HTTP/1.0, as Python's http.client sends it
	}
	// A Host without a port is taken for the target's: RFC 9112 §3.2 has them
	// equal, and clients leave it out.
	h, n, err := parseAuthority(req.Header.Get("Host"), port)
	if err != nil {
		return dest, err
	}
	if h != host || n != port {
		return dest, errHostOfConnect
	}
	return dest, nil
}

func (a *agentConn) refuseConnect(err error) {
	x := a.newExchange()
	x.method, x.header, x.close = a.req.Method, a.req.Header, true
	x.reply = &reply1{a: a, x: x}
	if err == errHostOfConnect {
		x.fault(403, codeMismatch, err.Error())
	} else {
		x.fault(400, codeBadRequest, "CONNECT: "+err.Error())
	}
	x.log()
	a.linger()
}

// refuseRaw ends a tunnel that carries neither TLS nor, on port 80, HTTP.
func (a *agentConn) refuseRaw(first byte) {
	a.proto = "raw"
	x := a.newExchange()
	x.dest, x.close = *a.dest, true
	x.method = "CONNECT"
	x.reply = &reply1{a: a, x: x}
	if http1.ValidToken(string(first)) {
		x.fault(403, codeNotHTTP, "plain HTTP through CONNECT goes to port 80 only; use TLS, or an http:// URL")
	} else {
		x.note("block", codeNotHTTP, "the tunnel does not begin with TLS")
	}
	x.log()
	a.linger()
}

// throughTLS ends the agent's TLS and serves HTTP inside, unless the route of
// the host passes TLS through.
func (a *agentConn) throughTLS() outcome {
	a.dest.scheme = "https"
	a.dest.name = a.dest.authority()
	if r := a.p.table.Load().Lookup(a.dest.host); r != nil && r.TLS == route.Passthrough && a.dest.host != MagicHost {
		a.buffers()
		a.passthrough(r)
		return over
	}
	a.awaitHello()
	a.sock.early, a.in.ahead = a.in.ahead, nil
	inner := tls.Server(a.sock, a.p.tls)
	if err := inner.Handshake(); err != nil {
		a.logHandshake(err)
		return over
	}
	state := inner.ConnectionState()
	a.sniErr = agreesWithSNI(a.dest.host, state.ServerName)
	a.SetDeadline(time.Time{})
	if state.NegotiatedProtocol == "h2" {
		a.proto, a.Conn = "h2", inner // it has buffers of its own
		return inHTTP2
	}
	a.use(inner)
	return a.serve()
}

// logHandshake notes a handshake that failed; a common cause is an agent that
// does not trust the bottle's authority.
func (a *agentConn) logHandshake(err error) {
	a.proto = "tls"
	x := a.newExchange()
	x.dest, x.method = *a.dest, "CONNECT"
	x.note("error", "agent-tls", "TLS with the agent: "+printable(clip(err.Error())))
	x.log()
}

// agentTLS is the server side of the agent's TLS. One configuration serves all
// hosts, so that session tickets work; the certificate is that of the CONNECT.
func (p *Proxy) agentTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: p.certificate,
		// Full records from the start: what is written is whole messages.
		DynamicRecordSizingDisabled: true,
	}
}

// certificate is the leaf for a handshake: of the host that the CONNECT named,
// or, when the agent names another one in the SNI, of that one, so that it can
// read the refusal. Which it was is checked for each request (agreesWithSNI).
func (p *Proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	dest := hello.Conn.(*socket).agent.dest
	if name := hello.ServerName; name != "" {
		host, err := route.CanonicalHost(name)
		if err != nil {
			return nil, err // odd bytes: no leaf, no handshake
		}
		if host != dest.host {
			return p.Authority.LeafForRefused(host)
		}
	}
	if dest.host != MagicHost && p.table.Load().Lookup(dest.host) == nil {
		return p.Authority.LeafForRefused(dest.host)
	}
	return p.Authority.Leaf(dest.host)
}

// agreesWithSNI checks the name of the TLS session against the destination. It
// is asked after the handshake, as a resumed session shows no certificate. No
// SNI is for the host of the CONNECT.
func agreesWithSNI(dest, sni string) error {
	if sni == "" {
		return nil
	}
	host, err := route.CanonicalHost(sni)
	if err != nil {
		return err
	}
	if host != dest {
		return errSNI
	}
	return nil
}
