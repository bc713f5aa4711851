package h2

import "encoding/binary"

// The frame types of RFC 9113 §6.
const (
	typeData = iota
	typeHeaders
	typePriority
	typeReset
	typeSettings
	typePush
	typePing
	typeGoAway
	typeWindow
	typeContinuation
)

// The flags of RFC 9113 §6. END_STREAM and ACK share a bit.
const (
	flagEndStream  = 0x01
	flagAck        = 0x01
	flagEndHeaders = 0x04
	flagPadded     = 0x08
	flagPriority   = 0x20
)

const (
	frameHead = 9       // bytes of a frame's header
	maxFrame  = 1 << 14 // content of a frame, in both directions: SETTINGS_MAX_FRAME_SIZE's initial value
	maxWindow = 1<<31 - 1

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // RFC 9113 §3.4
)

// frame is a frame's header (RFC 9113 §4.1).
type frame struct {
	length    int
	typ, flag byte
	id        uint32
}

func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		typ:    b[3],
		flag:   b[4],
		id:     binary.BigEndian.Uint32(b[5:]) & maxWindow,
	}
}

func (f frame) has(flag byte) bool { return f.flag&flag != 0 }

func appendFrame(dst []byte, length int, typ, flag byte, id uint32) []byte {
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length), typ, flag)
	return binary.BigEndian.AppendUint32(dst, id)
}

func appendReset(dst []byte, id uint32, code Code) []byte {
	dst = appendFrame(dst, 4, typeReset, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendWindow(dst []byte, id uint32, n int64) []byte {
	dst = appendFrame(dst, 4, typeWindow, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

func appendPing(dst []byte, flag byte, data [8]byte) []byte {
	return append(appendFrame(dst, 8, typePing, flag, 0), data[:]...)
}

func appendGoAway(dst []byte, last uint32, code Code, why string) []byte {
	dst = appendFrame(dst, 8+len(why), typeGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, why...)
}

// unpad takes the pad length and the padding off a frame's content (RFC 9113
// §6.1, §6.2).
func unpad(f frame, b []byte) ([]byte, error) {
	if !f.has(flagPadded) {
		return b, nil
	}
	if len(b) == 0 {
		return nil, connError(FrameSizeError, "a padded frame without its pad length")
	}
	pad := int(b[0])
	if pad >= len(b) {
		return nil, connError(ProtocolError, "padding as long as its frame or longer")
	}
	return b[1 : len(b)-pad], nil
}
