package ca

import (
	"container/list"
	"crypto/tls"
	"sync"
	"time"
)

// cache keeps the leaves that were asked for last.
type cache struct {
	max int

	mu    sync.Mutex
	hosts map[string]*list.Element // of *entry
	order list.List                // last asked for in front
}

// entry is a host's leaf, or the work on it. leaf and err are set before ready
// is closed.
type entry struct {
	host  string
	ready chan struct{}
	leaf  leaf
	err   error
}

// get returns the leaf of host, made by sign when there is none that is fresh.
// Those who ask meanwhile wait for the one that is being made.
func (c *cache) get(host string, now time.Time, sign func(string, time.Time) (leaf, error)) (*tls.Certificate, error) {
	e, mine := c.claim(host, now)
	if !mine {
		<-e.ready
		return e.leaf.cert, e.err
	}
	e.leaf, e.err = sign(host, now)
	close(e.ready)
	if e.err != nil {
		c.drop(e)
	}
	return e.leaf.cert, e.err
}

// claim returns the entry of host; mine says that it is new and the caller
// must fill it.
func (c *cache) claim(host string, now time.Time) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.hosts[host]; ok {
		if e := el.Value.(*entry); e.usable(now) {
			c.order.MoveToFront(el)
			return e, false
		}
		c.remove(el)
	}
	if c.hosts == nil {
		c.hosts = make(map[string]*list.Element)
	}
	e = &entry{host: host, ready: make(chan struct{})}
	c.hosts[host] = c.order.PushFront(e)
	if c.order.Len() > c.max {
		c.remove(c.order.Back())
	}
	return e, true
}

// usable reports that e is still being made or made and fresh.
func (e *entry) usable(now time.Time) bool {
	select {
	case <-e.ready:
		return e.err == nil && e.leaf.fresh(now)
	default:
		return true
	}
}

// drop forgets e, unless another has taken its place.
func (c *cache) drop(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.hosts[e.host]; ok && el.Value.(*entry) == e {
		c.remove(el)
	}
}

func (c *cache) remove(el *list.Element) {
	delete(c.hosts, el.Value.(*entry).host)
	c.order.Remove(el)
}
