package report

import (
	"encoding/json"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/route"
)

// An event is one decision of the operator.
type event struct {
	Time             time.Time
	Decision         string
	Operator, Reason string
	What             string // the host, of a proposal
	Why              string // the agent's justification
	Changes          []string
}

// maxShownChanges bounds the lines of one decision.
const maxShownChanges = 6

func eventOf(e audit.Entry) event {
	v := event{Time: e.Time.UTC(), Decision: e.Decision, Operator: e.Operator, Reason: e.Reason}
	var record struct {
		Proposal      struct{ Host string }
		Justification string
	}
	if json.Unmarshal(e.Record, &record) == nil {
		v.What, v.Why = record.Proposal.Host, record.Justification
	}
	if e.Before == "" || e.After == "" {
		return v
	}
	was, err1 := route.Parse("before", []byte(e.Before))
	is, err2 := route.Parse("after", []byte(e.After))
	if err1 != nil || err2 != nil {
		return v
	}
	for i, c := range route.Diff(was, is) {
		if i == maxShownChanges {
			v.Changes = append(v.Changes, "and more")
			break
		}
		v.Changes = append(v.Changes, c.Text)
	}
	return v
}

// kind is the class of the event's mark.
func (v event) kind() string {
	switch v.Decision {
	case "approved", "rejected":
		return v.Decision
	}
	return "applied"
}
