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

// entry is a host's leaf, or the work on it.
type entry struct {
	host string
	leaf leaf
	work *work // nil when leaf is made
}

// work is a leaf that is being made. leaf and err are set before done is closed.
type work struct {
	done chan struct{}
	leaf leaf
	err  error
}

// get returns the leaf of host, made by sign when there is none that is fresh.
// Those who ask meanwhile wait for the one that is being made.
func (c *cache) get(host string, now time.Time, sign func(string, time.Time) (leaf, error)) (*tls.Certificate, error) {
	e, l, w := c.claim(host, now)
	switch {
	case w == nil:
		return l.cert, nil
	case e == nil:
		<-w.done
	default:
		w.leaf, w.err = sign(host, now)
		close(w.done)
		c.settle(e, w)
	}
	return w.leaf.cert, w.err
}

// claim returns the leaf of host when it is made and fresh, else the work on it;
// e is not nil when the caller must do the work.
func (c *cache) claim(host string, now time.Time) (e *entry, l leaf, w *work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.hosts[host]; ok {
		e := el.Value.(*entry)
		if e.work != nil || e.leaf.fresh(now) {
			c.order.MoveToFront(el)
			return nil, e.leaf, e.work
		}
		c.remove(el)
	}
	if c.hosts == nil {
		c.hosts = make(map[string]*list.Element)
	}
	e = &entry{host: host, work: &work{done: make(chan struct{})}}
	c.hosts[host] = c.order.PushFront(e)
	if c.order.Len() > c.max {
		c.remove(c.order.Back())
	}
	return e, leaf{}, e.work
}

// settle keeps what w brought, or forgets e when that is an error.
func (c *cache) settle(e *entry, w *work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.leaf, e.work = w.leaf, nil
	if el, ok := c.hosts[e.host]; ok && w.err != nil && el.Value.(*entry) == e {
		c.remove(el)
	}
}

func (c *cache) remove(el *list.Element) {
	delete(c.hosts, el.Value.(*entry).host)
	c.order.Remove(el)
}
