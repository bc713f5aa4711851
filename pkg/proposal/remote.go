package proposal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"bottle/pkg/strictjson"
)

// An asked is one question of a Remote, one JSON object.
type asked struct {
	Op       string    `json:"op"` // get, pending, decided, decide
	ID       string    `json:"id,omitempty"`
	Decision *Decision `json:"decision,omitempty"`
}

// An answered is what the queue says to it.
type answered struct {
	Records []json.RawMessage `json:"records,omitempty"`
	Bad     []string          `json:"bad,omitempty"`   // why each other file is none
	Error   string            `json:"error,omitempty"` // in words
	Kind    string            `json:"kind,omitempty"`  // "not-found", "decided"
}

// maxAsked bounds a question: a decision with its reason and terms.
const maxAsked = 256 << 10

// Answer reads one question of a Remote from in and writes the answer to out.
// What the queue says no to is an answer too; an error is that of in or out.
func (q *Queue) Answer(ctx context.Context, in io.Reader, out io.Writer) error {
	data, err := io.ReadAll(io.LimitReader(in, maxAsked+1))
	if err != nil {
		return err
	}
	var a asked
	if len(data) > maxAsked {
		err = fmt.Errorf("more than %d bytes; wanted one question", maxAsked)
	} else {
		err = strictjson.Unmarshal(data, &a)
	}
	var records []Record
	var bad []error
	if err == nil {
		records, bad, err = q.carryOut(ctx, a)
	}
	var is answered
	for _, r := range records {
		line, err := strictjson.Encode(r)
		if err != nil {
			return err
		}
		is.Records = append(is.Records, line)
	}
	for _, b := range bad {
		is.Bad = append(is.Bad, b.Error())
	}
	is.fail(err)
	line, err := strictjson.Encode(is)
	if err != nil {
		return err
	}
	_, err = out.Write(line)
	return err
}

func (is *answered) fail(err error) {
	switch {
	case err == nil:
		return
	case errors.Is(err, ErrNotFound):
		is.Kind = "not-found"
	case errors.Is(err, ErrDecided):
		is.Kind = "decided"
	}
	is.Error = err.Error()
}

func (q *Queue) carryOut(ctx context.Context, a asked) (records []Record, bad []error, err error) {
	one := func(r Record, err error) ([]Record, []error, error) {
		if err != nil && !errors.Is(err, ErrDecided) {
			return nil, nil, err
		}
		return []Record{r}, nil, err
	}
	switch {
	case a.Op == "get":
		return one(q.Get(a.ID))
	case a.Op == "pending":
		return q.Pending()
	case a.Op == "decided":
		return q.Decided()
	case a.Op == "decide" && a.Decision != nil:
		return one(q.Decide(ctx, a.ID, *a.Decision))
	}
	return nil, nil, fmt.Errorf("question %.20q; wanted get, pending, decided, or decide with a decision", a.Op)
}

// A Remote is a queue in another place, whose methods do what those of Queue do.
// What comes from there is checked as a file of the queue is: it may be
// anybody's.
type Remote struct {
	// Ask has Answer of the other place read the question, and returns what it
	// wrote.
	Ask func(question []byte) ([]byte, error)
}

// Get is Queue.Get.
func (m *Remote) Get(id string) (Record, error) {
	if err := ValidID(id); err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrNotFound, err)
	}
	return m.one(asked{Op: "get", ID: id})
}

// Pending is Queue.Pending.
func (m *Remote) Pending() ([]Record, []error, error) { return m.records(asked{Op: "pending"}) }

// Decided is Queue.Decided.
func (m *Remote) Decided() ([]Record, []error, error) { return m.records(asked{Op: "decided"}) }

// Decide is Queue.Decide.
func (m *Remote) Decide(_ context.Context, id string, d Decision) (Record, error) {
	if err := ValidID(id); err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrNotFound, err)
	}
	return m.one(asked{Op: "decide", ID: id, Decision: &d})
}

// Close does nothing: a Remote holds nothing.
func (m *Remote) Close() {}

// one asks about one proposal; with ErrDecided the record comes too.
func (m *Remote) one(a asked) (Record, error) {
	records, _, err := m.records(a)
	if err != nil && !errors.Is(err, ErrDecided) {
		return Record{}, err
	}
	if len(records) != 1 || records[0].ID != a.ID {
		return Record{}, errors.Join(err, fmt.Errorf("the queue answered with %d proposals; wanted %s", len(records), a.ID))
	}
	if a.Op == "decide" && records[0].Decision == nil {
		return records[0], fmt.Errorf("%s is pending there after the decision", a.ID)
	}
	return records[0], err
}

func (m *Remote) records(a asked) (records []Record, bad []error, err error) {
	question, err := strictjson.Encode(a)
	if err != nil {
		return nil, nil, err
	}
	data, err := m.Ask(question)
	if err != nil {
		return nil, nil, err
	}
	var is answered
	if err := strictjson.Unmarshal(data, &is); err != nil {
		return nil, nil, fmt.Errorf("the queue's answer: %w", err)
	}
	for _, b := range is.Bad {
		bad = append(bad, errors.New(b))
	}
	for _, raw := range is.Records {
		r, err := read(raw)
		if err == nil && (a.Op == "pending" && r.Decision != nil || a.Op == "decided" && r.Decision == nil) {
			err = errors.New("in the wrong folder")
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("a proposal of the queue's answer: %w", err))
			continue
		}
		records = append(records, r)
	}
	return records, bad, is.err()
}

// read is a record that names itself.
func read(raw json.RawMessage) (Record, error) {
	var named struct {
		ID       string          `json:"id"`
		Decision json.RawMessage `json:"decision"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return Record{}, err
	}
	if err := ValidID(named.ID); err != nil {
		return Record{}, err
	}
	return parse(named.ID, raw, named.Decision != nil)
}

func (is *answered) err() error {
	switch {
	case is.Error == "" && is.Kind == "":
		return nil
	case is.Kind == "not-found":
		return &saidError{ErrNotFound, is.Error}
	case is.Kind == "decided":
		return &saidError{ErrDecided, is.Error}
	}
	return errors.New(is.Error)
}

// saidError is an error of the other place, in its words.
type saidError struct {
	kind error
	text string
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.kind }
