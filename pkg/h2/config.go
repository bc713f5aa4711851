package h2

import (
	"time"

	"bottle/pkg/http1"
)

// Config is what a connection is given. The zero value is usable.
type Config struct {
	// MaxStreams bounds the streams that are open at once: those a client may
	// open at a server, and those Open opens at most, whatever more the server
	// allows. 0 is 250 for a server and 100 for a client.
	MaxStreams uint32
	// HeadBytes and Fields bound one head or trailer section, as http1.Limits
	// do: names and values with four bytes each, and the number of fields. 0 is
	// 64 KiB and 256.
	HeadBytes, Fields int
	// Idle is how long a server keeps a connection without streams; 0 is 10 min.
	Idle time.Duration
	// Stall ends a connection on which a frame, a field block or the preface was
	// begun and does not go on, or which takes nothing of what is written to it.
	// It takes at least 3/4 of Stall and at most all of it; 0 is 90 s.
	Stall time.Duration
	// Refused is told why a server opened no stream for a request's head: it is
	// malformed or too long. It may be nil; the next frame waits for it.
	Refused func(why string)
	// Extended lets a server offer the extended CONNECT of RFC 8441. A client
	// uses it where the server offers it.
	Extended bool
}

func (c Config) orDefault(streams uint32) Config {
	if c.MaxStreams == 0 {
		c.MaxStreams = streams
	}
	if c.HeadBytes <= 0 {
		c.HeadBytes = 64 << 10
	}
	if c.Fields <= 0 {
		c.Fields = 256
	}
	if c.Idle <= 0 {
		c.Idle = 10 * time.Minute
	}
	if c.Stall <= 0 {
		c.Stall = 90 * time.Second
	}
	return c
}

// Head is the head of a request or of an answer.
type Head struct {
	// Of a request. Protocol is that of an extended CONNECT, else empty.
	Method, Scheme, Authority, Path, Protocol string
	// Secret names a field of a request that is sent, beside authorization and
	// cookie, so that no table on the way keeps its value (RFC 7541 §7.1.3).
	Secret string
	// Status is that of an answer, 100 to 999.
	Status int
	// Header is the fields in the order received, names in lower case, without
	// the pseudo-fields. Several cookie fields are one (RFC 9113 §8.2.3).
	Header http1.Header
	// Length is that of the content received: 0 none, -1 not known, else
	// Content-Length, which the data was or will be compared with. Open and
	// Respond do not look at it: the stream's end is what ends content.
	Length int64
}
