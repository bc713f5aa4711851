package interop

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The opcodes of RFC 6455 §5.2 that are used here.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// frame is a WebSocket frame, whole in one; a client's is masked.
func frame(op byte, payload []byte, masked bool) []byte {
	b := []byte{0x80 | op, 0}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if !masked {
		return append(b, payload...)
	}
	mask := [4]byte{0x5a, 0xa5, 0x11, 0xee}
	b[1] |= 0x80
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// readFrame reads a frame, which must be masked as told.
func readFrame(r io.Reader, masked bool) (op byte, payload []byte, err error) {
	var h [10]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return 0, nil, err
	}
	if h[0]&0xf0 != 0x80 || (h[1]&0x80 != 0) != masked {
		return 0, nil, fmt.Errorf("a frame with the head %#x", h[:2])
	}
	n := uint64(h[1] & 0x7f)
	switch n {
	case 126:
		_, err = io.ReadFull(r, h[2:4])
		n = uint64(binary.BigEndian.Uint16(h[2:4]))
	case 127:
		_, err = io.ReadFull(r, h[2:10])
		n = binary.BigEndian.Uint64(h[2:10])
	}
	var mask [4]byte
	if masked && err == nil {
		_, err = io.ReadFull(r, mask[:])
	}
	if err != nil || n > 16<<20 {
		return 0, nil, errors.Join(err, fmt.Errorf("a frame of %d bytes", n))
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return h[0] & 0xf, payload, err
}

// answerFrames is the origin's side: texts come back, pings are answered, and a
// close ends it.
func answerFrames(r io.Reader, w io.Writer) error {
	for {
		op, payload, err := readFrame(r, true)
		if err != nil {
			return err
		}
		if op == opPing {
			op = opPong
		}
		if _, err := w.Write(frame(op, payload, false)); err != nil || op == opClose {
			return err
		}
	}
}

// converse is the client's side of a conversation with answerFrames.
func converse(t *testing.T, c io.ReadWriter) {
	t.Helper()
	say := func(op, answer byte, payload string) {
		t.Helper()
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(frame(op, []byte(payload), true))
			sent <- err
		}()
		got, b, err := readFrame(c, false)
		if werr := <-sent; err != nil || werr != nil || got != answer || string(b) != payload {
			t.Fatalf("frame %d of %d bytes: answered with %d of %d bytes; %v %v", op, len(payload), got, len(b), err, werr)
		}
	}
	for i := range 50 {
		say(opText, opText, fmt.Sprintf("text %d", i))
	}
	say(opPing, opPong, "are you there")
	say(opText, opText, strings.Repeat("a long text ", 5<<20/12))
	say(opClose, opClose, "\x03\xe8")
}

// acceptKey is Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// webSocket is an origin's handler for both versions of HTTP. What it notes of
// each handshake goes to seen.
func webSocket(seen chan string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "CONNECT" && r.Header.Get(":protocol") == "websocket" {
			seen <- r.Proto
			rc := http.NewResponseController(w)
			w.Header().Set("Sec-Websocket-Protocol", r.Header.Get("Sec-Websocket-Protocol"))
			w.WriteHeader(200)
			rc.Flush()
			answerFrames(bufio.NewReader(r.Body), flushing{w, rc})
			return
		}
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-Websocket-Version") != "13" || len(r.Header.Get("Sec-Websocket-Key")) != 24 {
			http.Error(w, fmt.Sprintf("no handshake: %s %v", r.Method, r.Header), 400)
			return
		}
		seen <- r.Proto
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
			acceptKey(r.Header.Get("Sec-Websocket-Key")), r.Header.Get("Sec-Websocket-Protocol"))
		answerFrames(rw, c)
	})
}

// flushing sends each write on at once.
type flushing struct {
	io.Writer
	rc *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	return n, errors.Join(err, f.rc.Flush())
}
