package proposal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"bottle/pkg/strictjson"
)

// A Verdict is what the operator decided.
type Verdict string

// The two verdicts.
const (
	Approved Verdict = "approved"
	Rejected Verdict = "rejected"
)

// A Decision ends a proposal.
type Decision struct {
	Verdict  Verdict    `json:"verdict"`
	Reason   string     `json:"reason,omitempty"`
	Operator string     `json:"operator"`
	Time     time.Time  `json:"time"`
	Expires  *time.Time `json:"expires,omitempty"` // when what was approved ends by itself
	Terms    []string   `json:"terms,omitempty"`   // what the agent must know of how it was approved
	// Narrowed: less was approved than was asked for. The rest was not.
	Narrowed bool `json:"narrowed,omitempty"`
}

// A Record is one proposal as it lies in the queue.
type Record struct {
	ID            string          `json:"id"`
	Component     string          `json:"component"` // "egress-proxy", "pipelock", "capability"
	Proposal      json.RawMessage `json:"proposal"`  // what is proposed, an object in its one spelling; see Route
	Justification string          `json:"justification"`
	Client        string          `json:"client,omitempty"` // what the agent's client calls itself
	Filed         time.Time       `json:"filed"`
	Decision      *Decision       `json:"decision,omitempty"` // nil while pending
}

// State is "pending", "approved" or "rejected".
func (r Record) State() string {
	if r.Decision == nil {
		return "pending"
	}
	return string(r.Decision.Verdict)
}

// Digest is the hex SHA-256 of what is proposed: component and proposal. Equal
// proposals have equal digests, whatever their justification.
func (r Record) Digest() string { return digest(r.Component, r.Proposal) }

func digest(component string, proposal []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s", component, proposal)
	return hex.EncodeToString(h.Sum(nil))
}

// An ID is the beginning of the digest and a number, counted up when an equal
// proposal is filed again: no separator of paths, no dot, one letter case.
var idForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{12}-[1-9][0-9]{0,3}$`) })

// maxAttempt is the last number of an ID.
const maxAttempt = 9999

// ValidID says what is wrong with s as the ID of a proposal.
func ValidID(s string) error {
	if !idForm().MatchString(s) {
		return fmt.Errorf("%.60q is no proposal ID; wanted one like 0a1b2c3d4e5f-1", s)
	}
	return nil
}

func makeID(digest string, attempt int) string {
	return fmt.Sprintf("%s-%d", digest[:12], attempt)
}

var component = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`) })

// Bounds of the short texts of a record, in bytes.
const (
	maxJustification = 4000
	maxClient        = 200
	maxReason        = 4000
	maxTerms         = 16
)

// parse reads the file of the proposal id and checks that it says what its name
// says: the queue is a folder that others may have written to.
func parse(id string, data []byte, decided bool) (Record, error) {
	var r Record
	if err := strictjson.Unmarshal(data, &r); err != nil {
		return Record{}, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, r.Proposal); err != nil {
		return Record{}, errors.New("no proposal in it")
	}
	r.Proposal = b.Bytes()
	if err := r.check(); err != nil {
		return Record{}, err
	}
	if r.ID != id || id[:12] != r.Digest()[:12] {
		return Record{}, errors.New("the ID does not belong to the content")
	}
	if decided != (r.Decision != nil) {
		return Record{}, errors.New("in the wrong folder")
	}
	return r, nil
}

func (r Record) check() error {
	switch {
	case !component().MatchString(r.Component):
		return fmt.Errorf("component %.40q is not a name", r.Component)
	case len(r.Proposal) == 0 || r.Proposal[0] != '{':
		return errors.New("the proposal is not an object")
	case len(r.Justification) > maxJustification:
		return fmt.Errorf("justification of %d bytes; wanted at most %d", len(r.Justification), maxJustification)
	case len(r.Client) > maxClient:
		return fmt.Errorf("client name of %d bytes; wanted at most %d", len(r.Client), maxClient)
	case r.Decision != nil:
		return r.Decision.check()
	}
	return nil
}

func (d Decision) check() error {
	switch {
	case d.Verdict != Approved && d.Verdict != Rejected:
		return fmt.Errorf("verdict %.20q; wanted approved or rejected", d.Verdict)
	case len(d.Reason) > maxReason || len(d.Operator) > maxClient || len(d.Terms) > maxTerms:
		return fmt.Errorf("decision too long; wanted at most %d bytes of reason", maxReason)
	}
	return nil
}
