package proposal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// remote asks q as an operator elsewhere would; change may tamper with answers.
func remote(q *Queue, change func(string) string) *Remote {
	return &Remote{Ask: func(question []byte) ([]byte, error) {
		var out bytes.Buffer
		if err := q.Answer(ctx, bytes.NewReader(question), &out); err != nil {
			return nil, err
		}
		return []byte(change(out.String())), nil
	}}
}

func asIs(s string) string { return s }

func TestRemoteIsTheQueue(t *testing.T) {
	q, _ := open(t, Limits{})
	m := remote(q, asIs)
	first, _ := submit(t, q, request("a.example", "why\u202e"))
	if got, err := m.Get(first.ID); err != nil || got.Justification != "why\u202e" || got.State() != "pending" {
		t.Errorf("get: %+v, %v", got, err)
	}
	if rs, bad, err := m.Pending(); err != nil || len(bad) > 0 || len(rs) != 1 || rs[0].ID != first.ID {
		t.Errorf("pending: %v, %v, %v", rs, bad, err)
	}
	r, err := m.Decide(ctx, first.ID, Decision{Verdict: Rejected, Reason: "no", Operator: "op"})
	if err != nil || r.State() != "rejected" || r.Decision.Reason != "no" {
		t.Errorf("decide: %+v, %v", r, err)
	}
	if r, err := m.Decide(ctx, first.ID, Decision{Verdict: Approved, Operator: "op"}); !errors.Is(err, ErrDecided) || r.State() != "rejected" {
		t.Errorf("decide again: %+v, %v", r, err)
	}
	if rs, _, err := m.Decided(); err != nil || len(rs) != 1 {
		t.Errorf("decided: %v, %v", rs, err)
	}
	for _, id := range []string{"0123456789ab-1", "../decided/" + first.ID, ""} {
		if _, err := m.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := m.Decide(ctx, first.ID, Decision{Verdict: "maybe"}); err == nil || errors.Is(err, ErrDecided) {
		t.Errorf("a bad decision: %v", err)
	}
}

// TestRemoteIsNotTrusted: whoever answers, only whole records that name
// themselves rightly come through.
func TestRemoteIsNotTrusted(t *testing.T) {
	q, _ := open(t, Limits{})
	r, _ := submit(t, q, request("a.example", "why"))
	for _, change := range []func(string) string{
		func(string) string { return "" },
		func(string) string { return "{}" },
		func(s string) string { return strings.Replace(s, "a.example", "b.example", 1) },
		func(s string) string { return strings.Replace(s, r.ID, "0123456789ab-1", 1) },
		func(s string) string { return strings.Replace(s, `"id"`, `"ID"`, 1) },
		func(s string) string { return strings.Replace(s, `"filed"`, `"id":"x","filed"`, 1) },
		func(s string) string { return strings.Replace(s, `"why"`, `"`+strings.Repeat("x", 5000)+`"`, 1) },
	} {
		m := remote(q, change)
		if got, err := m.Get(r.ID); err == nil {
			t.Errorf("get: %+v", got)
		}
		if rs, _, err := m.Pending(); err == nil && len(rs) > 0 {
			t.Errorf("pending: %+v", rs)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"op":"get","id":"0123456789ab-1"}`))
	f.Add([]byte(`{"op":"pending"}`))
	f.Add([]byte(`{"op":"decide","id":"../x","decision":{"verdict":"approved","operator":"a","time":"2026-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, question []byte) {
		q, err := Open(t.TempDir(), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		var out bytes.Buffer
		if err := q.Answer(ctx, bytes.NewReader(question), &out); err != nil {
			t.Fatal(err)
		}
		m := Remote{Ask: func([]byte) ([]byte, error) { return out.Bytes(), nil }}
		if rs, _, _ := m.Pending(); len(rs) > 0 {
			t.Errorf("%q gives %v", question, rs)
		}
	})
}
