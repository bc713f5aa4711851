package canary

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Where a client finds what: below these the registries of registry.go.
const (
	GetPath    = "/get"
	SocketPath = "/websocket"
	StreamPath = "/sse"
)

// What a client prints of a WebSocket and of an event stream that work.
const (
	SocketMark = "websocket " + Mark
	StreamMark = "sse " + Mark
)

// streamTime is how long an event stream stays open after its first event, for a
// client that has read it to go.
const streamTime = 4 * time.Second

// closeTime is how long a WebSocket's client may take to close too.
const closeTime = 300 * time.Millisecond

// answer is the origin.
func (c *Canary) answer(w http.ResponseWriter, r *http.Request) {
	client := ClientOf(r.Host)
	if client == "" {
		http.Error(w, "no such host here", http.StatusMisdirectedRequest)
		return
	}
	c.saw(Sight{Client: client, Kind: Request, HTTP2: r.ProtoMajor == 2})
	switch path := r.URL.Path; {
	case path == GetPath:
		fmt.Fprintln(w, Mark)
	case path == SocketPath:
		c.socket(w, r, client)
	case path == StreamPath:
		c.stream(w, r, client)
	default:
		registry(w, r, path)
	}
}

// stream sends one event and waits for the client to go: one that was sent it in
// time has no reason to stay.
func (c *Canary) stream(w http.ResponseWriter, r *http.Request, client string) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, "data: %s\n\n", StreamMark)
	if http.NewResponseController(w).Flush() != nil {
		return
	}
	select {
	case <-r.Context().Done():
		c.saw(Sight{Client: client, Kind: Stream})
	case <-time.After(streamTime):
	}
}

// socket takes a WebSocket in HTTP/1.1 (RFC 6455 §4.2.2), sends one text and
// closes. A WebSocket in HTTP/2 comes as one from the proxy.
func (c *Canary) socket(w http.ResponseWriter, r *http.Request, client string) {
	key := r.Header.Get("Sec-Websocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		http.Error(w, "wanted a WebSocket handshake", http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(streamTime))
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	text := SocketMark + "\n"
	fmt.Fprintf(rw, "\x81%c%s\x88\x02\x03\xe8", len(text), text) // a text, and close 1000 (§5.2, §5.5.1)
	if rw.Flush() == nil {
		c.saw(Sight{Client: client, Kind: Socket})
		conn.SetReadDeadline(time.Now().Add(closeTime))
		io.Copy(io.Discard, rw.Reader)
	}
}
