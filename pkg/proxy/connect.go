package proxy

import (
	"bufio"
	"crypto/tls"
	"net"
	"time"

	"bottle/pkg/http1"
	"bottle/pkg/route"
)

// connect accepts a CONNECT and serves what comes through it. It is accepted
// even for a host that no route names, since clients show the body of an answer
// inside TLS and not that of an answer to CONNECT. Nothing is resolved or
// dialled before a request inside was decided.
func (a *agentConn) connect(req *http1.Request) {
	dest, err := connectTarget(req)
	if err != nil {
		a.refuseConnect(req, err)
		return
	}
	a.dest = &dest
	a.SetDeadline(time.Now().Add(a.p.Limits.Handshake))
	if _, err := a.Conn.Write([]byte("HTTP/1.1 200 Connection Established\r\n\r\n")); err != nil {
		return
	}
	first, err := a.br.Peek(1)
	if err != nil {
		return // the agent sent nothing; whatever speaks first there stays silent
	}
	const handshake = 0x16 // the TLS record type, RFC 8446 §5.1
	switch {
	case first[0] == handshake:
		a.throughTLS()
	case dest.port == 80 && http1.ValidToken(string(first)):
		// Node's fetch sends CONNECT host:80 with plain HTTP inside.
		a.dest.scheme = "http"
		a.SetDeadline(time.Time{})
		a.serve()
	default:
		a.refuseRaw(first[0])
	}
}

// connectTarget is the destination that a CONNECT names, in its target and
// nowhere else.
func connectTarget(req *http1.Request) (target, error) {
	host, port, err := parseAuthority(req.Target, 0)
	if err != nil {
		return target{}, err
	}
	dest := target{host: host, port: port}
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

func (a *agentConn) refuseConnect(req *http1.Request, err error) {
	x := a.p.newExchange(a.proto)
	x.method, x.header, x.close = req.Method, req.Header, true
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
	x := a.p.newExchange("raw")
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
func (a *agentConn) throughTLS() {
	a.dest.scheme = "https"
	if r := a.p.table.Load().Lookup(a.dest.host); r != nil && r.TLS == route.Passthrough && a.dest.host != MagicHost {
		a.passthrough(r)
		return
	}
	inner := tls.Server(&tunnel{Conn: a.Conn, br: a.br, agent: a}, a.p.tls)
	if err := inner.Handshake(); err != nil {
		a.logHandshake(err)
		return
	}
	state := inner.ConnectionState()
	a.sni = state.ServerName
	a.SetDeadline(time.Time{})
	if state.NegotiatedProtocol == "h2" {
		a.proto, a.Conn = "h2", inner // it has buffers of its own
		a.serve2(inner)
		return
	}
	a.use(inner)
	a.serve()
}

// use makes the connection's reader and writer those of its inner TLS.
func (a *agentConn) use(inner *tls.Conn) {
	a.Conn = inner
	a.br = bufio.NewReaderSize(inner, bufSize)
	a.bw = bufio.NewWriterSize(inner, bufSize)
}

// logHandshake notes a handshake that failed; a common cause is an agent that
// does not trust the bottle's authority.
func (a *agentConn) logHandshake(err error) {
	x := a.p.newExchange("tls")
	x.dest, x.method = *a.dest, "CONNECT"
	x.note("error", "agent-tls", "TLS with the agent: "+printable(clip(err.Error())))
	x.log()
}

// tunnel is the connection below the agent's TLS: what was read ahead with the
// CONNECT comes first.
type tunnel struct {
	net.Conn
	br    *bufio.Reader
	agent *agentConn
}

func (t *tunnel) Read(p []byte) (int, error) { return t.br.Read(p) }

// agentTLS is the server side of the agent's TLS. One configuration serves all
// hosts, so that session tickets work; the certificate is that of the CONNECT.
func (p *Proxy) agentTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: p.certificate,
	}
}

// certificate is the leaf for a handshake: of the host that the CONNECT named,
// or, when the agent names another one in the SNI, of that one, so that it can
// read the refusal. Which it was is checked for each request (agreesWithSNI).
func (p *Proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	dest := hello.Conn.(*tunnel).agent.dest
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
func (a *agentConn) agreesWithSNI() error {
	if a.sni == "" {
		return nil
	}
	host, err := route.CanonicalHost(a.sni)
	if err != nil {
		return err
	}
	if host != a.dest.host {
		return errSNI
	}
	return nil
}
