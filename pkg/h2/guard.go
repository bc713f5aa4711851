package h2

import (
	"errors"
	"time"
)

// The bounds against a peer that makes work without asking for anything. Frames
// that carry no request and no content cost a token; requests earn some, and so
// does content in either direction, since honest peers answer it with
// WINDOW_UPDATE or PING. So a connection of any age that does its work never runs
// out, and a flood does after calmBurst frames.
const (
	calmBurst = 2000 // tokens at the start and at most
	calmRate  = 100  // tokens per second
	calmHead  = 8    // what a new stream earns
	calmData  = 2    // what a DATA frame with content earns
	calmBytes = 512  // and content that is sent earns one for so many bytes more

	// Streams that were begun and not let finish: reset by the peer (rapid
	// reset, CVE-2023-44487), or reset by us for what the peer sent (CVE-2025-8671).
	resetBurst = 500
	resetRate  = 100
)

// bucket is a number of tokens that comes back with time.
type bucket struct {
	level, burst, rate int
	last               time.Time
}

func (b *bucket) earn(n int) { b.level = min(b.level+n, b.burst) }

// spend takes a token. It is false when there is none, and then more brings what
// was earned otherwise.
func (b *bucket) spend(more func() int) bool {
	if b.level--; b.level >= 0 {
		return true
	}
	now := time.Now()
	back := min(int(now.Sub(b.last).Seconds()*float64(b.rate)), b.burst)
	if more != nil {
		back += more()
	}
	if back > 0 {
		b.last = now
		b.earn(back)
	}
	return b.level >= 0
}

var errFlood = connError(EnhanceYourCalm, "too many frames that ask for nothing")

// idleFrame pays for a frame that carries no request and no content.
func (c *conn) idleFrame() error {
	if !c.calm.spend(c.earned) {
		return errFlood
	}
	return nil
}

// earned is what sending content has earned since it was last asked.
func (c *conn) earned() int { return int(min(c.sent.Swap(0), calmBurst)) }

// earnData counts n bytes of content sent. A piece that the peer's window made
// small earns nothing of its own: it would be the peer's way to buy tokens.
func (c *conn) earnData(n int, whole bool) {
	tokens := int64(n / calmBytes)
	if whole {
		tokens += calmData
	}
	c.sent.Add(tokens)
}

// wasted pays for a stream that was begun in vain; locked.
func (c *conn) wasted() error {
	if !c.resets.spend(nil) {
		return connError(EnhanceYourCalm, "too many streams begun and not let finish")
	}
	return nil
}

// answered bounds what the read loop has put into the buffer; locked.
func (c *conn) answered() error {
	if c.out.control > maxControl {
		return connError(EnhanceYourCalm, "too many frames to be answered by a peer that does not read")
	}
	return nil
}

var (
	errStalledRead  = errors.New("the peer began a frame and did not go on")
	errStalledWrite = errors.New("the peer takes nothing of what is written to it")
)

// watch looks at what the connection waits for. It takes the place of deadlines,
// which would have to be set before each read and each write.
func (c *conn) watch() {
	now := time.Now()
	before := now.Add(-c.cfg.Stall * 3 / 4).UnixNano()
	if since := c.rd.since.Load(); since != 0 && since < before {
		c.fail(errStalledRead)
		return
	}
	c.mu.Lock()
	slow := c.out.since != 0 && c.out.since < before
	over := c.err != nil
	idle := !c.client && !c.going.away && len(c.streams) == 0 && c.handlers == 0 && now.Sub(c.idle) > c.cfg.Idle
	if idle {
		c.shutdown()
	}
	if !over {
		c.timer.Reset(c.tick())
	}
	c.mu.Unlock()
	if slow {
		c.fail(errStalledWrite)
	}
}

func (c *conn) tick() time.Duration { return min(c.cfg.Stall, c.cfg.Idle) / 4 }
