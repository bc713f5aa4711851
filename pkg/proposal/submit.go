package proposal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"bottle/pkg/strictjson"
)

// A Request is a proposal on its way into the queue.
type Request struct {
	Component     string
	Proposal      json.RawMessage // one line without spaces; equal content must be equal bytes
	Justification string
	Client        string
	// Lapsed: an approval of the same before this moment is known not to hold any
	// more, so that it may be asked for again. Zero: nothing of that kind is known.
	Lapsed time.Time
}

// A Refusal is why the queue takes no proposal now. Its text is for the agent.
type Refusal struct {
	Msg  string // what is wrong
	Next string // what to do about it
}

func (e *Refusal) Error() string { return e.Msg }

// Submit files req, or finds the equal proposal that is in the queue already:
// one that waits; an approved one, unless it has lapsed; a rejected one, unless
// req comes with a new justification. found tells the two apart; a record with a
// Decision is always a found one. A *Refusal says that a limit is reached.
// When Submit returns without an error, the proposal is on disk.
func (q *Queue) Submit(ctx context.Context, req Request) (r Record, found bool, err error) {
	r = Record{Component: req.Component, Proposal: req.Proposal, Justification: req.Justification, Client: req.Client}
	if len(r.Client) > maxClient {
		r.Client = strings.ToValidUTF8(r.Client[:maxClient], "")
	}
	if err := r.check(); err != nil {
		return r, false, &Refusal{err.Error(), "make it shorter and call again"}
	}
	unlock, err := q.lock(ctx)
	if err != nil {
		return r, false, err
	}
	defer unlock()
	same, free, err := q.equal(r, req.Lapsed)
	if err != nil {
		return r, false, err
	}
	if same != nil {
		return *same, true, nil
	}
	r.ID = free
	r.Filed = time.Now().UTC()
	data, err := strictjson.Encode(r)
	if err != nil {
		return r, false, err
	}
	if err := q.room(int64(len(data))); err != nil {
		return r, false, err
	}
	return r, false, q.pending.write(r.ID+".json", data)
}

// equal looks for the proposal that answers for r, and returns it or the ID under
// which r may be filed.
func (q *Queue) equal(r Record, lapsed time.Time) (same *Record, free string, err error) {
	var rejections []Record // since the last approval
	var approval *Record    // nil after a rejection
	for n := 1; n <= maxAttempt; n++ {
		id := makeID(r.Digest(), n)
		old, err := q.Get(id)
		if errors.Is(err, ErrNotFound) {
			same, err := q.answer(r, approval, rejections, lapsed)
			return same, id, err
		}
		if err != nil || old.Digest() != r.Digest() {
			continue // the ID is taken by a bad file, or by a digest with the same beginning
		}
		switch old.State() {
		case "pending":
			return &old, "", nil
		case string(Approved):
			approval, rejections = &old, nil
		default:
			approval, rejections = nil, append(rejections, old)
		}
	}
	return nil, "", &Refusal{"equal proposals were filed too often", "ask the operator by other means"}
}

// answer chooses among the decided proposals equal to r the one that still holds.
func (q *Queue) answer(r Record, approval *Record, rejections []Record, lapsed time.Time) (*Record, error) {
	if approval != nil && (!approval.Decision.Time.Before(lapsed) || approval.refusesRest(r)) {
		return approval, nil
	}
	for i := range rejections {
		if sameText(rejections[i].Justification, r.Justification) {
			return &rejections[i], nil
		}
	}
	if len(rejections) >= q.limits.Attempts {
		return nil, &Refusal{
			fmt.Sprintf("the operator has rejected this proposal %d times", len(rejections)),
			"do without it, or ask the operator by other means",
		}
	}
	return nil, nil
}

// refusesRest reports whether the approval r gave less than was asked for, still
// holds, and so answers for the same asked again with the same reason.
func (r *Record) refusesRest(again Record) bool {
	d := r.Decision
	return d.Narrowed && (d.Expires == nil || time.Now().Before(*d.Expires)) && sameText(r.Justification, again.Justification)
}

// sameText compares two justifications as a reader would: white space and case
// make no new argument.
func sameText(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// room refuses a file of size bytes for which the folder of pending ones has no
// room. It counts files, not memory, so a restart resets nothing.
func (q *Queue) room(size int64) error {
	if size > q.limits.File {
		return &Refusal{fmt.Sprintf("the proposal takes %d bytes; at most %d are taken", size, q.limits.File), "propose less at once"}
	}
	records, bad, err := q.Pending()
	if err != nil {
		return err
	}
	const next = "wait for the operator to decide those; proposal-status tells when"
	if n := len(records) + len(bad); n >= q.limits.Pending {
		return &Refusal{fmt.Sprintf("%d proposals are waiting for the operator; no more are taken", n), next}
	}
	recent := 0
	minute := time.Now().Add(-time.Minute)
	for _, r := range records {
		size += q.pending.size(r.ID + ".json")
		if r.Filed.After(minute) {
			recent++
		}
	}
	if size > q.limits.Bytes {
		return &Refusal{fmt.Sprintf("the waiting proposals take more than %d bytes", q.limits.Bytes), next}
	}
	if recent >= q.limits.PerMinute {
		return &Refusal{fmt.Sprintf("%d proposals were filed within a minute; no more are taken now", recent), "wait a minute, then call again"}
	}
	return nil
}
