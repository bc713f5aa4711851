package main

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
)

// WebSocket as far as an echo needs it (RFC 6455 §1.3, §5.2): text frames whose
// content is always as long as wsText.
const (
	wsText = `{"type":"ping","seq":1234567890}`
	wsKey  = "MDEyMzQ1Njc4OWFiY2RlZg=="
	wsHead = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wsKey + "\r\n"
)

var wsMask = [4]byte{0x12, 0x34, 0x56, 0x78}

// wsFrame is the frame as a client sends it, masked, or as a server does.
func wsFrame(masked bool) []byte {
	f := []byte{0x81, byte(len(wsText))}
	if !masked {
		return append(f, wsText...)
	}
	f[1] |= 0x80
	f = append(f, wsMask[:]...)
	for i := range len(wsText) {
		f = append(f, wsText[i]^wsMask[i&3])
	}
	return f
}

// serveWebSocket takes the client's frames and sends each back unmasked.
func serveWebSocket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		http.Error(w, "no WebSocket", http.StatusBadRequest)
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	asked, answer := wsFrame(true), wsFrame(false)
	for {
		if _, err := io.ReadFull(rw, asked); err != nil || asked[0] != answer[0] {
			return
		}
		for i := range answer[2:] {
			answer[2+i] = asked[6+i] ^ asked[2+i&3]
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
