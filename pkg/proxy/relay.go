package proxy

import (
	"bufio"
	"io"
)

// relay copies the answer's content. It flushes before it waits for the origin,
// so that no event waits for the next.
func (x *exchange) relay(up *upConn, mask masks) error {
	if !x.rest.Done() && !x.rest.Ready() {
		if err := x.reply.flush(); err != nil {
			return err
		}
	}
	if x.rest.Done() {
		return nil
	}
	from := bulk{up.sock}
	defer from.end()
	for {
		from.await(up.br)
		err := x.relayPiece(from, mask)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// relayPiece copies what is there. The last is flushed with the answer's end.
func (x *exchange) relayPiece(from bulk, mask masks) error {
	buf := bulks.Get().(*[]byte)
	defer bulks.Put(buf)
	n, err := from.fill(&x.rest, (*buf)[:bulkSize])
	if n > 0 {
		x.received.Add(int64(n))
		mask.apply((*buf)[:n])
		if _, werr := x.reply.Write((*buf)[:n]); werr != nil {
			return werr
		}
	}
	if err != nil || n == 0 {
		return err
	}
	return x.reply.flush()
}

// bulk reads content from a connection; as long as full records come it reads
// several at once. Without a socket it just reads.
type bulk struct{ sock *socket }

// fullRecord is about the content of a TLS record of full size.
const fullRecord = 12 << 10

// fill reads content into p: what comes first, and then what is there without
// waiting.
func (b bulk) fill(body io.Reader, p []byte) (n int, err error) {
	n, err = body.Read(p)
	if b.sock == nil {
		return n, err
	}
	b.sock.bulk = n >= fullRecord
	for err == nil && b.sock.bulk && len(p)-n >= bufSize && b.sock.recordReady() && inContent(body) {
		var m int
		m, err = body.Read(p[n:])
		n += m
	}
	return n, err
}

// inContent tells whether the next byte of the stream is content: a Read then
// waits for nothing else.
func inContent(body io.Reader) bool {
	b, ok := body.(interface{ InContent() bool })
	return ok && b.InContent()
}

// await waits for more, where no room should be held for it meanwhile. What
// goes wrong shows again in fill.
func (b bulk) await(br *bufio.Reader) {
	if br.Buffered() == 0 && !b.sock.recordReady() {
		br.Peek(1)
	}
}

// end is the end of reading ahead.
func (b bulk) end() {
	if b.sock != nil {
		b.sock.bulk = false
	}
}
