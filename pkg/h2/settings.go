package h2

import "encoding/binary"

// The settings of RFC 9113 §6.5.2 and RFC 8441 §3.
const (
	setTableSize = 1 + iota
	setPush
	setStreams
	setWindow
	setFrame
	setHeadList
	setExtended = 8
)

// tableSize is the HPACK table that either side keeps: HTTP/2's initial value.
const tableSize = 4096

// ourSettings is what this side's SETTINGS said, and whether the peer obeys it.
type ourSettings struct {
	window int64 // of a new stream
	acked  bool
	late   int64 // what may still come over the windows, see Stream.late
}

// peerSettings is what the peer's SETTINGS said.
type peerSettings struct {
	known    bool // they came
	window   int64
	streams  uint32
	extended bool
}

func (p *peerSettings) init() { p.window, p.streams = firstWindow, 100 }

// sendSettings puts our SETTINGS and the connection's window into the buffer;
// locked.
func (c *conn) sendSettings() {
	var b []byte
	set := func(id uint16, v uint32) {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), v)
	}
	c.ours.window = serverWindow
	if c.client {
		c.ours.window = clientWindow
		set(setPush, 0)
	} else {
		set(setStreams, c.cfg.MaxStreams)
		if c.cfg.Extended {
			set(setExtended, 1)
		}
	}
	set(setWindow, uint32(c.ours.window))
	// Counted as RFC 9113 §6.5.2 does: 32 bytes for each field, where we take 4.
	set(setHeadList, uint32(c.cfg.HeadBytes+28*c.cfg.Fields))
	c.out.need()
	c.out.b = append(appendFrame(c.out.b, len(b), typeSettings, 0, 0), b...)
	c.out.b = appendWindow(c.out.b, 0, connWindow-firstWindow)
}

// settings takes SETTINGS (RFC 9113 §6.5).
func (c *conn) settings(f frame, b []byte) error {
	switch {
	case f.id != 0:
		return connError(ProtocolError, "SETTINGS on a stream")
	case f.has(flagAck) && len(b) > 0, len(b)%6 != 0:
		return connError(FrameSizeError, "SETTINGS of a wrong length")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.has(flagAck) {
		c.acked()
		return nil
	}
	p := c.peer
	if !p.known {
		p.streams = maxWindow // no limit unless there is one
	}
	for ; len(b) > 0; b = b[6:] {
		if err := c.set(&p, binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])); err != nil {
			return err
		}
	}
	return c.obey(p)
}

// acked says that the peer obeys our SETTINGS, which we sent once; locked.
func (c *conn) acked() {
	if c.ours.acked {
		return
	}
	c.ours.acked, c.ours.late = true, lateData
	for _, s := range c.streams {
		s.recv += c.ours.window - firstWindow
		s.early = true
	}
	c.giveBack()
}

// set takes one setting of the peer's; locked. Unknown ones are ignored.
func (c *conn) set(p *peerSettings, id uint16, v uint32) error {
	switch id {
	case setTableSize:
		c.hp.SetMaxDynamicTableSize(min(v, tableSize))
	case setPush:
		if v > 1 || v == 1 && c.client {
			return connError(ProtocolError, "SETTINGS_ENABLE_PUSH")
		}
	case setStreams:
		p.streams = v
	case setWindow:
		if v > maxWindow {
			return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1")
		}
		p.window = int64(v)
	case setFrame:
		// Ours are of the size that everyone takes.
		if v < maxFrame || v > 1<<24-1 {
			return connError(ProtocolError, "SETTINGS_MAX_FRAME_SIZE")
		}
	case setExtended:
		if v > 1 || v == 0 && p.extended {
			return connError(ProtocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL")
		}
		p.extended = v == 1
	}
	return nil
}

// obey makes p what holds and says so; locked. A window may become negative
// (RFC 9113 §6.9.2).
func (c *conn) obey(p peerSettings) error {
	for _, s := range c.streams {
		if !addSend(&s.send, p.window-c.peer.window) {
			return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE makes a window larger than 2^31-1")
		}
		s.wcond.Broadcast()
	}
	first := !c.peer.known
	p.known = true
	c.peer = p
	if first && c.client {
		close(c.greeted)
	}
	if c.out.dead {
		return nil
	}
	c.control()
	c.out.b = appendFrame(c.out.b, 0, typeSettings, flagAck, 0)
	return c.answered()
}
