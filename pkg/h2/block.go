package h2

import (
	"bytes"
	"encoding/binary"
)

// maxFragments bounds the CONTINUATION frames of one field block (CVE-2024-27316).
const maxFragments = 64

// maxBlock bounds a field block as sent. What is over HeadBytes is decoded and
// dropped, so that the decoder's table stays the peer's; what is over this ends
// the connection.
func (c *conn) maxBlock() int { return 4*c.cfg.HeadBytes + maxFrame }

// headers takes HEADERS and the CONTINUATIONs behind it (RFC 9113 §6.2, §6.10).
func (c *conn) headers(f frame, b []byte) error {
	if f.id%2 == 0 {
		return connError(ProtocolError, "HEADERS on no stream or one of a server's")
	}
	b, err := unpad(f, b)
	if err != nil {
		return err
	}
	selfish := false
	if f.has(flagPriority) {
		if len(b) < 5 {
			return connError(FrameSizeError, "HEADERS too short for its priority")
		}
		selfish = binary.BigEndian.Uint32(b)&maxWindow == f.id
		b = b[5:]
	}
	if !f.has(flagEndHeaders) {
		if b, err = c.gather(f.id, b); err != nil {
			return err
		}
	}
	if err := c.decode(b); err != nil {
		return err
	}
	if selfish && c.in.fault == nil {
		c.in.fault = malformed("a stream that depends on itself") // RFC 7540 §5.3.1
	}
	defer c.in.end()
	if c.client {
		return c.fromServer(f)
	}
	return c.fromClient(f)
}

// gather joins the fragments of a field block, the first of which is b.
func (c *conn) gather(id uint32, b []byte) ([]byte, error) {
	block := bytes.Clone(b)
	c.rd.held = true
	for n := 0; ; n++ {
		f, err := c.readFrame()
		if err != nil {
			return nil, cutShort(err)
		}
		if f.typ != typeContinuation || f.id != id {
			return nil, connError(ProtocolError, "a field block is not followed by its CONTINUATION")
		}
		if n == maxFragments || len(block)+f.length > c.maxBlock() {
			return nil, connError(EnhanceYourCalm, "a field block too long")
		}
		if f.length == 0 {
			if err := c.idleFrame(); err != nil {
				return nil, err
			}
		}
		b, err := c.content(f)
		if err != nil {
			return nil, err
		}
		block = append(block, b...)
		if f.has(flagEndHeaders) {
			c.rd.held = false
			return block, nil
		}
	}
}

// decode decodes a field block into c.in.
func (c *conn) decode(b []byte) error {
	c.in.begin(c.cfg)
	c.dec.SetEmitEnabled(true)
	if _, err := c.dec.Write(b); err != nil {
		return connError(CompressionError, "a field block that cannot be decoded")
	}
	if err := c.dec.Close(); err != nil {
		return connError(CompressionError, "a field block cut short")
	}
	return nil
}
