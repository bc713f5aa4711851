package h2

// Ready reports whether Read has something to give, if only an error.
func (s *Stream) Ready() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.ready()
}

func (s *Stream) ready() bool { return s.in.n > 0 || s.readable() != nil }

// Await waits for Ready or the deadline of reads: a reader can take its buffer
// then and not before.
func (s *Stream) Await() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for !s.ready() && !s.rd.passed() {
		if s.await(&s.rcond, &s.rd) != nil {
			return
		}
	}
}
