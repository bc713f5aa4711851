package h2

import (
	"io"
	"os"
	"sync"

	"bottle/pkg/http1"
)

// Read gives content as it comes. The error is io.EOF at the true end of the
// content and only there, also with the last bytes; a reset or a dead connection
// is another.
func (s *Stream) Read(p []byte) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.rd.passed() {
		return 0, os.ErrDeadlineExceeded
	}
	for s.in.n == 0 || s.over {
		if err := s.readable(); err != nil || len(p) == 0 {
			return 0, err
		}
		if err := s.await(&s.rcond, &s.rd); err != nil {
			return 0, err
		}
	}
	n := s.in.read(p)
	s.owed += int64(n)
	if s.ended && s.in.n == 0 {
		s.ungrow()
		return n, io.EOF
	}
	if s.grant() {
		s.c.flush(true)
	}
	return n, nil
}

// readable is the error of a read with nothing to give; locked.
func (s *Stream) readable() error {
	switch {
	case s.over:
		return errOver
	case s.ended:
		return io.EOF
	}
	return s.err
}

// Trailer is the trailer section, once Read has returned io.EOF; nil without
// one. Fields that may not stand there (RFC 9110 §6.5.1) were dropped.
func (s *Stream) Trailer() http1.Header {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.trailer
}

// ReadHead gives, on a client, the interim heads one by one and then the final
// one, which is the last it gives.
func (s *Stream) ReadHead() (Head, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.rd.passed() {
		return Head{}, os.ErrDeadlineExceeded
	}
	for len(s.heads) == 0 {
		switch {
		case s.err != nil:
			return Head{}, s.err
		case s.over || s.headed:
			return Head{}, errOver
		}
		if err := s.await(&s.rcond, &s.rd); err != nil {
			return Head{}, err
		}
	}
	h := s.heads[0]
	s.heads[0] = Head{}
	if s.heads = s.heads[1:]; len(s.heads) == 0 {
		s.heads = s.one[:0]
	}
	if h.Length > s.window { // it will take a while: no need to wait for the first window
		s.grow()
		if s.grant() {
			s.c.flush(true)
		}
	}
	return h, nil
}

// deliver takes content off the connection; locked. A stream that has been reset
// in the meantime has no use for it.
func (s *Stream) deliver(b []byte) {
	if s.err != nil || s.over {
		return
	}
	s.in.write(b)
	s.rcond.Signal()
}

// content is what was received and not yet read.
type content struct {
	head, tail *chunk
	n          int
}

// chunk is a piece of content in a buffer from a pool. There are two sizes, so
// that many streams with a few bytes each hold little.
type chunk struct {
	next *chunk
	r, w int
	b    []byte
}

const (
	smallChunk = 2 << 10
	largeChunk = 16 << 10
)

var (
	smallChunks = sync.Pool{New: func() any { return &chunk{b: make([]byte, smallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &chunk{b: make([]byte, largeChunk)} }}
)

func getChunk(n int) *chunk {
	if n > smallChunk {
		return largeChunks.Get().(*chunk)
	}
	return smallChunks.Get().(*chunk)
}

func (k *chunk) put() {
	k.next, k.r, k.w = nil, 0, 0
	if len(k.b) == largeChunk {
		largeChunks.Put(k)
		return
	}
	smallChunks.Put(k)
}

func (t *content) write(b []byte) {
	t.n += len(b)
	for len(b) > 0 {
		if t.tail == nil || t.tail.w == len(t.tail.b) {
			t.add(getChunk(len(b)))
		}
		n := copy(t.tail.b[t.tail.w:], b)
		t.tail.w += n
		b = b[n:]
	}
}

func (t *content) add(k *chunk) {
	if t.tail == nil {
		t.head = k
	} else {
		t.tail.next = k
	}
	t.tail = k
}

func (t *content) read(p []byte) (n int) {
	for n < len(p) && t.head != nil {
		k := t.head
		m := copy(p[n:], k.b[k.r:k.w])
		k.r += m
		n += m
		if k.r == k.w {
			t.pop()
		}
	}
	t.n -= n
	return n
}

func (t *content) pop() {
	k := t.head
	if t.head = k.next; t.head == nil {
		t.tail = nil
	}
	k.put()
}

func (t *content) free() {
	for t.head != nil {
		t.pop()
	}
	t.n = 0
}
