package h2

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// A malformed request resets its stream and nothing else (RFC 9113 §8.1.1).
func TestMalformedRequests(t *testing.T) {
	without := func(name string) []string {
		var h []string
		for i := 0; i < len(getHead); i += 2 {
			if getHead[i] != name {
				h = append(h, getHead[i:i+2]...)
			}
		}
		return h
	}
	with := func(name, value string) []string { return append(without(name), name, value) }
	cases := map[string][]string{
		"no :method":             without(":method"),
		"no :scheme":             without(":scheme"),
		"no :path":               without(":path"),
		"empty :path":            with(":path", ""),
		"space in :path":         with(":path", "/a b"),
		"tab in :path":           with(":path", "/a\tb"),
		"control byte in :path":  with(":path", "/a\x01b"),
		"8 bit in :path":         with(":path", "/\xc3\xa4"),
		"method no token":        with(":method", "GE T"),
		"empty method":           with(":method", ""),
		"empty :scheme":          with(":scheme", ""),
		"space in :authority":    with(":authority", "a test"),
		"doubled :path":          append(getHead[:8:8], ":path", "/"),
		"unknown pseudo":         append(getHead[:8:8], ":foo", "x"),
		":status":                append(getHead[:8:8], ":status", "200"),
		"pseudo after fields":    append(without(":path"), "a", "b", ":path", "/"),
		":protocol":              append(with(":method", "CONNECT"), ":protocol", "websocket"),
		":protocol without":      append(getHead[:8:8], ":protocol", "websocket"),
		"CONNECT with :path":     with(":method", "CONNECT"),
		"CONNECT without :auth":  {":method", "CONNECT"},
		"upper case":             append(getHead[:8:8], "Accept", "x"),
		"name no token":          append(getHead[:8:8], "a b", "x"),
		"empty name":             append(getHead[:8:8], "", "x"),
		"colon in name":          append(getHead[:8:8], "a:b", "x"),
		"LF in value":            append(getHead[:8:8], "a", "x\ny: z"),
		"NUL in value":           append(getHead[:8:8], "a", "x\x00"),
		"leading space":          append(getHead[:8:8], "a", " x"),
		"trailing tab":           append(getHead[:8:8], "a", "x\t"),
		"connection":             append(getHead[:8:8], "connection", "close"),
		"keep-alive":             append(getHead[:8:8], "keep-alive", "1"),
		"proxy-connection":       append(getHead[:8:8], "proxy-connection", "close"),
		"transfer-encoding":      append(getHead[:8:8], "transfer-encoding", "chunked"),
		"upgrade":                append(getHead[:8:8], "upgrade", "h2c"),
		"te":                     append(getHead[:8:8], "te", "trailers, deflate"),
		"content-length":         append(getHead[:8:8], "content-length", "5"),
		"content-length list":    append(getHead[:8:8], "content-length", "0, 0"),
		"content-length twice":   append(getHead[:8:8], "content-length", "0", "content-length", "0"),
		"content-length octal":   append(getHead[:8:8], "content-length", "00"),
		"content-length signed":  append(getHead[:8:8], "content-length", "+0"),
		"content-length empty":   append(getHead[:8:8], "content-length", ""),
		"content-length too big": append(getHead[:8:8], "content-length", "9223372036854775808"),
	}
	w := greeted(t, Config{}, count)
	for name, fields := range cases {
		if got := w.outcome(w.open(true, fields...)); got != "reset PROTOCOL_ERROR" {
			t.Errorf("%s: %s; wanted reset PROTOCOL_ERROR", name, got)
		}
	}
	w.works()
}

// What is unusual and right goes through.
func TestUnusualRequests(t *testing.T) {
	cases := map[string][]string{
		"any method":     {":method", "M-SEARCH", ":scheme", "https", ":authority", "a", ":path", "*"},
		"no :authority":  {":method", "GET", ":scheme", "https", ":path", "/", "host", "a"},
		"te: trailers":   append(getHead[:8:8], "te", "trailers"),
		"obs-text":       append(getHead[:8:8], "a", "\xe4"),
		"empty value":    append(getHead[:8:8], "a", ""),
		"length 0":       append(getHead[:8:8], "content-length", "0"),
		"long path":      {":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/" + strings.Repeat("x", 7<<10)},
		"16 KiB cookies": append(getHead[:8:8], "cookie", strings.Repeat("c", 16<<10)),
		"CONNECT":        {":method", "CONNECT", ":authority", "a:443"},
	}
	w := greeted(t, Config{}, count)
	for name, fields := range cases {
		if got := w.outcome(w.open(true, fields...)); got != "200" {
			t.Errorf("%s: %s; wanted 200", name, got)
		}
	}
}

// Content-Length equals the data, whatever way the stream ends.
func TestContentLength(t *testing.T) {
	w := greeted(t, Config{}, count)
	for name, c := range map[string]struct {
		length, data, trailer string
		want                  string
	}{
		"equal":          {"3", "abc", "", "200"},
		"more":           {"3", "abcd", "", "reset PROTOCOL_ERROR"},
		"less":           {"3", "ab", "", "reset PROTOCOL_ERROR"},
		"none":           {"3", "", "", "reset PROTOCOL_ERROR"},
		"zero":           {"0", "", "", "200"},
		"more than zero": {"0", "a", "", "reset PROTOCOL_ERROR"},
		"trailer":        {"3", "abc", "x-a", "200"},
		"less, trailer":  {"3", "ab", "x-a", "reset PROTOCOL_ERROR"},
		"pseudo":         {"3", "abc", ":path", "reset PROTOCOL_ERROR"},
		"upper case":     {"3", "abc", "X-A", "reset PROTOCOL_ERROR"},
	} {
		id := w.open(false, post("content-length", c.length)...)
		w.fr.WriteData(id, c.trailer == "", []byte(c.data))
		if c.trailer != "" {
			w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block(c.trailer, "x"), EndHeaders: true, EndStream: true})
		}
		if got := w.outcome(id); got != c.want {
			t.Errorf("%s: %s; wanted %s", name, got, c.want)
		}
	}
	w.works()
}

// What breaks the connection's framing ends it with GOAWAY.
func TestConnectionErrors(t *testing.T) {
	u32 := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	raw := func(typ http2.FrameType, flags http2.Flags, id uint32, b []byte) func(*wire) {
		return func(w *wire) { w.fr.WriteRawFrame(typ, flags, id, b) }
	}
	set := func(id http2.SettingID, v uint32) func(*wire) {
		return func(w *wire) { w.fr.WriteSettings(http2.Setting{ID: id, Val: v}) }
	}
	for name, c := range map[string]struct {
		send func(*wire)
		want string
	}{
		"DATA on 0":              {raw(http2.FrameData, 0, 0, []byte("x")), "PROTOCOL_ERROR"},
		"DATA on idle":           {raw(http2.FrameData, 0, 7, []byte("x")), "PROTOCOL_ERROR"},
		"DATA padding":           {raw(http2.FrameData, flagPadded, 1, []byte{5, 1, 2}), "PROTOCOL_ERROR"},
		"DATA no pad length":     {raw(http2.FrameData, flagPadded, 1, nil), "FRAME_SIZE_ERROR"},
		"HEADERS on 0":           {raw(http2.FrameHeaders, flagEndHeaders, 0, nil), "PROTOCOL_ERROR"},
		"HEADERS on even":        {raw(http2.FrameHeaders, flagEndHeaders, 2, nil), "PROTOCOL_ERROR"},
		"HEADERS padding":        {raw(http2.FrameHeaders, flagEndHeaders|flagPadded, 1, []byte{9, 1}), "PROTOCOL_ERROR"},
		"HEADERS short priority": {raw(http2.FrameHeaders, flagEndHeaders|flagPriority, 1, []byte{0, 0}), "FRAME_SIZE_ERROR"},
		"HPACK garbage":          {raw(http2.FrameHeaders, flagEndHeaders, 1, []byte{0xff, 0xff, 0xff}), "COMPRESSION_ERROR"},
		"HPACK cut":              {raw(http2.FrameHeaders, flagEndHeaders, 1, []byte{0x40, 5, 'a'}), "COMPRESSION_ERROR"},
		"lower number": {func(w *wire) {
			w.next = 5
			w.open(true, getHead...)
			w.next = 3
			w.open(true, getHead...)
		}, "PROTOCOL_ERROR"},
		"PUSH_PROMISE":         {raw(http2.FramePushPromise, flagEndHeaders, 1, u32(2)), "PROTOCOL_ERROR"},
		"CONTINUATION alone":   {raw(http2.FrameContinuation, flagEndHeaders, 1, nil), "PROTOCOL_ERROR"},
		"CONTINUATION of 3":    {func(w *wire) { raw(http2.FrameHeaders, 0, 1, nil)(w); raw(http2.FrameContinuation, 4, 3, nil)(w) }, "PROTOCOL_ERROR"},
		"PING within a block":  {func(w *wire) { raw(http2.FrameHeaders, 0, 1, nil)(w); raw(http2.FramePing, 0, 0, make([]byte, 8))(w) }, "PROTOCOL_ERROR"},
		"frame too long":       {raw(http2.FramePing, 0, 0, make([]byte, maxFrame+1)), "FRAME_SIZE_ERROR"},
		"PRIORITY on 0":        {raw(http2.FramePriority, 0, 0, make([]byte, 5)), "PROTOCOL_ERROR"},
		"PRIORITY length":      {raw(http2.FramePriority, 0, 3, make([]byte, 4)), "FRAME_SIZE_ERROR"},
		"RST_STREAM on 0":      {raw(http2.FrameRSTStream, 0, 0, u32(8)), "PROTOCOL_ERROR"},
		"RST_STREAM on idle":   {raw(http2.FrameRSTStream, 0, 9, u32(8)), "PROTOCOL_ERROR"},
		"RST_STREAM length":    {raw(http2.FrameRSTStream, 0, 1, []byte{1}), "FRAME_SIZE_ERROR"},
		"SETTINGS on stream":   {raw(http2.FrameSettings, 0, 1, nil), "PROTOCOL_ERROR"},
		"SETTINGS length":      {raw(http2.FrameSettings, 0, 0, []byte{1, 2}), "FRAME_SIZE_ERROR"},
		"SETTINGS ack length":  {raw(http2.FrameSettings, flagAck, 0, make([]byte, 6)), "FRAME_SIZE_ERROR"},
		"ENABLE_PUSH":          {set(http2.SettingEnablePush, 2), "PROTOCOL_ERROR"},
		"INITIAL_WINDOW_SIZE":  {set(http2.SettingInitialWindowSize, 1<<31), "FLOW_CONTROL_ERROR"},
		"MAX_FRAME_SIZE small": {set(http2.SettingMaxFrameSize, 16383), "PROTOCOL_ERROR"},
		"MAX_FRAME_SIZE large": {set(http2.SettingMaxFrameSize, 1<<24), "PROTOCOL_ERROR"},
		"CONNECT_PROTOCOL":     {set(setExtended, 2), "PROTOCOL_ERROR"},
		"PING on stream":       {raw(http2.FramePing, 0, 1, make([]byte, 8)), "PROTOCOL_ERROR"},
		"PING length":          {raw(http2.FramePing, 0, 0, make([]byte, 7)), "FRAME_SIZE_ERROR"},
		"GOAWAY on stream":     {raw(http2.FrameGoAway, 0, 1, make([]byte, 8)), "PROTOCOL_ERROR"},
		"GOAWAY length":        {raw(http2.FrameGoAway, 0, 0, make([]byte, 7)), "FRAME_SIZE_ERROR"},
		"WINDOW_UPDATE 0":      {raw(http2.FrameWindowUpdate, 0, 0, u32(0)), "PROTOCOL_ERROR"},
		"WINDOW_UPDATE idle":   {raw(http2.FrameWindowUpdate, 0, 5, u32(1)), "PROTOCOL_ERROR"},
		"WINDOW_UPDATE length": {raw(http2.FrameWindowUpdate, 0, 0, []byte{1}), "FRAME_SIZE_ERROR"},
		"WINDOW_UPDATE over":   {raw(http2.FrameWindowUpdate, 0, 0, u32(maxWindow)), "FLOW_CONTROL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			w := greeted(t, Config{}, count)
			c.send(w)
			if got := w.outcome(0); got != "goaway "+c.want {
				t.Errorf("%s; wanted goaway %s", got, c.want)
			}
			if f, err := w.fr.ReadFrame(); err != io.EOF {
				t.Errorf("%v %v behind GOAWAY; wanted the connection closed", f, err)
			}
		})
	}
}

func TestPreface(t *testing.T) {
	for name, in := range map[string]string{
		"HTTP/1.1":       "GET / HTTP/1.1\r\n",
		"almost":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
		"no SETTINGS":    preface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
		"SETTINGS's ack": preface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00",
	} {
		w, _, done := atServer(t, Config{}, count)
		w.Write([]byte(in))
		if got := w.outcome(0); got != "goaway PROTOCOL_ERROR" {
			t.Errorf("%s: %s; wanted goaway PROTOCOL_ERROR", name, got)
		}
		w.Close()
		if err := <-done; err == nil {
			t.Errorf("%s: Serve returned no error", name)
		}
		done <- nil
	}
}

// Frames on streams that have ended (RFC 9113 §5.1).
func TestStreamStates(t *testing.T) {
	release := make(chan struct{})
	w := greeted(t, Config{}, func(s *Stream) {
		if s.Head().Path == "/wait" {
			<-release
		}
		count(s)
	})
	wait := w.open(true, ":method", "GET", ":scheme", "https", ":path", "/wait")
	w.fr.WriteData(wait, true, []byte("x"))
	if got := w.outcome(wait); got != "reset STREAM_CLOSED" {
		t.Errorf("DATA on a half-closed stream: %s", got)
	}
	wait = w.open(true, ":method", "GET", ":scheme", "https", ":path", "/wait")
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: wait, BlockFragment: w.block("a", "b"), EndHeaders: true, EndStream: true})
	if got := w.outcome(wait); got != "reset STREAM_CLOSED" {
		t.Errorf("HEADERS on a half-closed stream: %s", got)
	}
	close(release)
	id := w.open(false, post()...)
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block("a", "b"), EndHeaders: true})
	if got := w.outcome(id); got != "reset PROTOCOL_ERROR" {
		t.Errorf("a trailer section that does not end the stream: %s", got)
	}
	// What was sent before the reset arrived is ignored, and decoded.
	w.fr.WriteData(id, false, []byte("late"))
	w.fr.WriteWindowUpdate(id, 10)
	w.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block("x-late", "to be in the table"), EndHeaders: true, EndStream: true})
	w.works()
	id = w.open(true, append(getHead[:8:8], "x-late", "to be in the table")...)
	if got := w.outcome(id); got != "200" {
		t.Errorf("a field of a late block: %s", got)
	}
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block("a", "b"), EndHeaders: true, EndStream: true})
	if got := w.outcome(0); got != "goaway STREAM_CLOSED" {
		t.Errorf("HEADERS on a closed stream: %s", got)
	}
}
