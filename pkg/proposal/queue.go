// Package proposal is the queue between the agent and the operator: a folder of
// files, one per proposal, pending/ID.json until decided and decided/ID.json from
// then on. Files appear whole and nothing is kept in memory, so that a restart
// on either side loses nothing.
//
// The queue is not trusted: what lies in it may be a link, a FIFO, huge, or not
// what its name says. Such files are named in errors and otherwise left alone.
package proposal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"bottle/pkg/strictjson"

	"golang.org/x/sys/unix"
)

// ErrNotFound says that no proposal has the ID.
var ErrNotFound = errors.New("no such proposal")

// ErrDecided says that the proposal was decided before.
var ErrDecided = errors.New("already decided")

// Limits bound what one agent can put before the operator. Zero fields stand for
// the defaults.
type Limits struct {
	Pending   int   // proposals that wait at once; default 32
	PerMinute int   // proposals filed within a minute and still pending; default 10
	Bytes     int64 // of all pending files together; default 4 MiB
	File      int64 // of one file; default 1 MiB
	Attempts  int   // rejections of equal proposals, after which no more are taken; default 5
}

func (l Limits) filled() Limits {
	return Limits{
		Pending:   cmp.Or(l.Pending, 32),
		PerMinute: cmp.Or(l.PerMinute, 10),
		Bytes:     cmp.Or(l.Bytes, 4<<20),
		File:      cmp.Or(l.File, 1<<20),
		Attempts:  cmp.Or(l.Attempts, 5),
	}
}

// A Queue is an open queue. Its methods may be used at once by several
// goroutines and processes.
type Queue struct {
	limits           Limits
	top              *folder
	pending, decided *folder
}

// Open opens the queue in dir, which must exist, and makes its two folders when
// they are missing. Symbolic links may lead to dir but not on from there.
func Open(dir string, limits Limits) (*Queue, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	q := &Queue{limits: limits.filled(), top: &folder{f, dir}}
	if q.pending, err = openFolder(q.top, "pending"); err == nil {
		q.decided, err = openFolder(q.top, "decided")
	}
	if err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// Close frees the descriptors of the queue.
func (q *Queue) Close() {
	for _, d := range []*folder{q.top, q.pending, q.decided} {
		if d != nil {
			d.f.Close()
		}
	}
}

// Get returns the proposal id, decided or pending. The error is ErrNotFound, or
// says why the file is refused.
func (q *Queue) Get(id string) (Record, error) {
	if err := ValidID(id); err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrNotFound, err)
	}
	// Decided first: while a decision is written, both files exist. Then once
	// more, for a decision that came between the two looks.
	for _, d := range []*folder{q.decided, q.pending, q.decided} {
		r, err := q.load(d, id)
		if !errors.Is(err, os.ErrNotExist) {
			return r, err
		}
	}
	return Record{}, fmt.Errorf("%w: %s", ErrNotFound, id)
}

func (q *Queue) load(d *folder, id string) (Record, error) {
	data, err := d.read(id+".json", q.limits.File)
	if err != nil {
		return Record{}, err
	}
	r, err := parse(id, data, d == q.decided)
	if err != nil {
		return Record{}, d.fault("read", id+".json", err)
	}
	return r, nil
}

// Pending returns the proposals that wait, oldest first, and in bad why each
// other file in the folder is none.
func (q *Queue) Pending() (records []Record, bad []error, err error) {
	return q.records(q.pending)
}

// Decided returns the decided proposals, in the order in which they were filed.
func (q *Queue) Decided() (records []Record, bad []error, err error) {
	return q.records(q.decided)
}

func (q *Queue) records(d *folder) (records []Record, bad []error, err error) {
	names, err := d.names()
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	for _, id := range names {
		if err := ValidID(id); err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", d.path, err))
			continue
		}
		if d == q.pending && q.decided.has(id+".json") {
			continue
		}
		r, err := q.load(d, id)
		switch {
		case errors.Is(err, os.ErrNotExist): // decided meanwhile
		case err != nil:
			bad = append(bad, err)
		default:
			records = append(records, r)
		}
	}
	slices.SortStableFunc(records, func(a, b Record) int { return a.Filed.Compare(b.Filed) })
	return records, bad, nil
}

// lockWait is how long to wait for others who change the queue.
const lockWait = 10 * time.Second

// lock takes the queue for a change. The lock lies on an open file description
// of its own (flock(2)), so that it also excludes goroutines of this process.
func (q *Queue) lock(ctx context.Context) (unlock func(), err error) {
	fd, err := unix.Openat(q.top.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, q.top.fault("open", ".", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { unix.Close(fd) }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			unix.Close(fd)
			return nil, q.top.fault("flock", ".", err)
		}
		select {
		case <-ctx.Done():
			unix.Close(fd)
			return nil, fmt.Errorf("%s: locked by another process: %w", q.top.path, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Decide writes the decision on the pending proposal id and returns it as it is
// now. ErrDecided, with the earlier decision in the record, if there is one.
func (q *Queue) Decide(ctx context.Context, id string, d Decision) (Record, error) {
	if err := d.check(); err != nil {
		return Record{}, err
	}
	unlock, err := q.lock(ctx)
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	r, err := q.Get(id)
	if err != nil {
		return r, err
	}
	if r.Decision != nil {
		q.pending.remove(id + ".json") // left by a crash between the two steps below
		return r, fmt.Errorf("%s: %w: %s", id, ErrDecided, r.State())
	}
	d.Time = d.Time.UTC()
	r.Decision = &d
	data, err := strictjson.Encode(r)
	if err != nil {
		return r, err
	}
	if err := q.decided.write(id+".json", data); err != nil {
		return r, err
	}
	return r, q.pending.remove(id + ".json")
}

// poll is how often Wait looks.
const poll = 150 * time.Millisecond

// Wait returns the proposal id as soon as it is decided; or, when ctx ends first,
// as it is, with ctx's error. Any other error is as of Get.
func (q *Queue) Wait(ctx context.Context, id string) (Record, error) {
	r, err := q.Get(id)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for err == nil && r.Decision == nil {
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
		if q.decided.has(id + ".json") {
			r, err = q.Get(id)
		}
	}
	return r, err
}
