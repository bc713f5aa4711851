package proposal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/route"

	"golang.org/x/sys/unix"
)

var ctx = context.Background()

func open(t *testing.T, limits Limits) (*Queue, string) {
	t.Helper()
	dir := t.TempDir()
	q, err := Open(dir, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q, dir
}

func request(host, why string) Request {
	return Request{
		Component: EgressProxy, Justification: why, Client: "test",
		Proposal: OfRoute(route.Proposal{Host: host, PathAllowlist: []string{"/b", "/a", "/b"}}),
	}
}

func submit(t *testing.T, q *Queue, req Request) (Record, bool) {
	t.Helper()
	r, found, err := q.Submit(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return r, found
}

func decide(t *testing.T, q *Queue, id string, v Verdict) Record {
	t.Helper()
	r, err := q.Decide(ctx, id, Decision{Verdict: v, Reason: "because", Operator: "op", Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSubmitDecideGet(t *testing.T) {
	q, dir := open(t, Limits{})
	r, found := submit(t, q, request("a.example", "why"))
	if found || ValidID(r.ID) != nil || r.State() != "pending" {
		t.Fatalf("got %+v, found %t", r, found)
	}
	if got, want := string(r.Proposal), `{"host":"a.example","path_allowlist":["/a","/b"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	fi, err := os.Stat(filepath.Join(dir, "pending", r.ID+".json"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", fi.Mode(), err)
	}
	decide(t, q, r.ID, Approved)
	got, err := q.Get(r.ID)
	if err != nil || got.State() != "approved" || got.Decision.Reason != "because" || got.Justification != "why" {
		t.Errorf("got %+v, %v", got, err)
	}
	if p, err := got.Route(); err != nil || p.Host != "a.example" {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := q.Decide(ctx, r.ID, Decision{Verdict: Rejected}); !errors.Is(err, ErrDecided) {
		t.Errorf("decided twice: %v", err)
	}
	if _, err := q.Decide(ctx, "0123456789ab-1", Decision{Verdict: Rejected}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if names, _ := q.pending.names(); len(names) != 0 {
		t.Errorf("still pending: %v", names)
	}
}

// TestEqualProposals goes through the life of one proposal that is made again
// and again.
func TestEqualProposals(t *testing.T) {
	q, _ := open(t, Limits{Attempts: 2})
	first, _ := submit(t, q, request("a.example", "why"))
	if r, found := submit(t, q, request("a.example", "other words")); !found || r.ID != first.ID {
		t.Errorf("pending: got %s, found %t; want %s again", r.ID, found, first.ID)
	}
	decide(t, q, first.ID, Rejected)
	if r, found := submit(t, q, request("a.example", " WHY\n")); !found || r.State() != "rejected" {
		t.Errorf("rejected, same reason: got %s, found %t", r.State(), found)
	}
	second, found := submit(t, q, request("a.example", "since the build needs it"))
	if found || second.ID == first.ID {
		t.Errorf("rejected, new reason: got %s, found %t; want a new one", second.ID, found)
	}
	decide(t, q, second.ID, Rejected)
	if r, found := submit(t, q, request("a.example", "why")); !found || r.ID != first.ID {
		t.Errorf("an earlier reason: got %s, found %t; want %s", r.ID, found, first.ID)
	}
	var full *Refusal
	if _, _, err := q.Submit(ctx, request("a.example", "third")); !errors.As(err, &full) || !strings.Contains(full.Msg, "rejected this proposal 2 times") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestApprovedAndLapsed(t *testing.T) {
	q, _ := open(t, Limits{})
	first, _ := submit(t, q, request("a.example", "why"))
	decide(t, q, first.ID, Approved)
	if r, found := submit(t, q, request("a.example", "why")); !found || r.State() != "approved" {
		t.Errorf("got %s, found %t; want the approved one", r.State(), found)
	}
	req := request("a.example", "why")
	req.Lapsed = time.Now().Add(-time.Hour) // the table was read before the approval
	if _, found := submit(t, q, req); !found {
		t.Error("a fresh approval was taken for lapsed")
	}
	req.Lapsed = time.Now()
	if r, found := submit(t, q, req); found || r.ID == first.ID {
		t.Errorf("got %s, found %t; want a new one after the approval has lapsed", r.ID, found)
	}
}

func TestLimits(t *testing.T) {
	cases := []struct {
		name   string
		limits Limits
		want   string
	}{
		{"pending", Limits{Pending: 2}, "2 proposals are waiting"},
		{"rate", Limits{PerMinute: 2}, "2 proposals were filed within a minute"},
		{"bytes", Limits{Bytes: 600}, "more than 600 bytes"},
		{"file", Limits{File: 200}, "at most 200 are taken"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q, dir := open(t, c.limits)
			var err error
			for i := 0; i < 3 && err == nil; i++ {
				_, _, err = q.Submit(ctx, request(fmt.Sprintf("h%d.example", i), strings.Repeat("x", 100)))
			}
			var full *Refusal
			if !errors.As(err, &full) || !strings.Contains(full.Msg, c.want) || full.Next == "" {
				t.Errorf("got %v, want %s", err, c.want)
			}
			// Another process, or this one started again, has the same limits.
			again, err := Open(dir, c.limits)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if _, _, err := again.Submit(ctx, request("last.example", strings.Repeat("x", 100))); !errors.As(err, &full) {
				t.Errorf("after a restart: got %v, want a refusal", err)
			}
		})
	}
}

func TestTooLongJustification(t *testing.T) {
	q, _ := open(t, Limits{})
	var full *Refusal
	if _, _, err := q.Submit(ctx, request("a.example", strings.Repeat("x", maxJustification+1))); !errors.As(err, &full) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestSubmitAtOnceIsOne(t *testing.T) {
	q, _ := open(t, Limits{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := q.Submit(ctx, request("a.example", "why")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if rs, _, err := q.Pending(); err != nil || len(rs) != 1 {
		t.Errorf("got %d proposals, %v; want 1", len(rs), err)
	}
}

func TestWait(t *testing.T) {
	q, dir := open(t, Limits{})
	r, _ := submit(t, q, request("a.example", "why"))
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if got, err := q.Wait(short, r.ID); !errors.Is(err, context.DeadlineExceeded) || got.State() != "pending" {
		t.Errorf("got %s, %v; want pending after the deadline", got.State(), err)
	}
	// The decision comes from another process, after a restart of ours.
	other, err := Open(dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	done := make(chan Record, 1)
	go func() {
		got, err := q.Wait(ctx, r.ID)
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	decide(t, other, r.ID, Rejected)
	if got := <-done; got.State() != "rejected" {
		t.Errorf("got %s, want rejected", got.State())
	}
}

// TestCrashBetweenTheTwoSteps: decided is written, pending not yet removed.
func TestCrashBetweenTheTwoSteps(t *testing.T) {
	q, dir := open(t, Limits{})
	r, _ := submit(t, q, request("a.example", "why"))
	pending := filepath.Join(dir, "pending", r.ID+".json")
	data, err := os.ReadFile(pending)
	if err != nil {
		t.Fatal(err)
	}
	decide(t, q, r.ID, Approved)
	if err := os.WriteFile(pending, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := q.Get(r.ID); err != nil || got.State() != "approved" {
		t.Errorf("got %s, %v; want approved", got.State(), err)
	}
	if rs, bad, err := q.Pending(); len(rs)+len(bad) != 0 || err != nil {
		t.Errorf("still listed: %v %v %v", rs, bad, err)
	}
	if _, err := q.Decide(ctx, r.ID, Decision{Verdict: Rejected}); !errors.Is(err, ErrDecided) {
		t.Errorf("got %v, want ErrDecided", err)
	}
}

// TestHostileFiles puts into the folder what an agent might, each under a valid
// name, and expects a refusal that does not hang, and the good one listed.
func TestHostileFiles(t *testing.T) {
	q, dir := open(t, Limits{})
	good, _ := submit(t, q, request("a.example", "why"))
	valid, err := os.ReadFile(filepath.Join(dir, "pending", good.ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, valid, 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(data string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(data), 0o600) }
	}
	hostile := map[string]func(path string) error{
		"000000000001-1": func(p string) error { return os.Symlink(secret, p) },
		"000000000002-1": func(p string) error { return unix.Mkfifo(p, 0o600) },
		"000000000003-1": func(p string) error { return os.Mkdir(p, 0o700) },
		"000000000004-1": put(strings.Repeat("x", 2<<20)),
		"000000000005-1": put("{}"),
		"000000000006-1": put(string(valid)), // another's content
		"000000000007-1": put(strings.Replace(string(valid), good.ID, "000000000007-1", 1)),
		"000000000008-1": put(strings.Replace(string(valid), `"id"`, `"ID"`, 1)),
		"000000000009-1": put(""),
		"..":             nil,
		"name\x1b[2J":    put("x"),
	}
	want := 0
	for id, make := range hostile {
		if make == nil {
			continue
		}
		want++
		if err := make(filepath.Join(dir, "pending", id+".json")); err != nil {
			t.Fatal(err)
		}
	}
	rs, bad, err := q.Pending()
	if err != nil || len(rs) != 1 || rs[0].ID != good.ID || len(bad) != want {
		t.Errorf("got %d good, %d bad, %v; want 1 and %d\n%v", len(rs), len(bad), err, want, bad)
	}
	for id := range hostile {
		if r, err := q.Get(id); err == nil {
			t.Errorf("%s: got %+v", id, r)
		}
		if r, err := q.Decide(ctx, id, Decision{Verdict: Approved}); err == nil {
			t.Errorf("%s: decided %+v", id, r)
		}
	}
}

func TestPathTricksInIDs(t *testing.T) {
	q, _ := open(t, Limits{})
	for _, id := range []string{"", ".", "..", "../decided/x", "/etc/passwd", "0a1b2c3d4e5f-1.json", "0A1B2C3D4E5F-1", "0a1b2c3d4e5f-0", "0a1b2c3d4e5f-1\n", "0a1b2c3d4e5f-1\x00"} {
		if _, err := q.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: got %v, want ErrNotFound", id, err)
		}
	}
}

func TestLinkedFoldersAreRefused(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "pending")); err != nil {
		t.Fatal(err)
	}
	if q, err := Open(dir, Limits{}); err == nil {
		q.Close()
		t.Error("opened a queue whose folder is a symbolic link")
	}
}

func FuzzParse(f *testing.F) {
	req := request("a.example", "why")
	id := makeID(digest(req.Component, req.Proposal), 1)
	good, err := json.Marshal(Record{ID: id, Component: req.Component, Proposal: req.Proposal, Filed: time.Unix(0, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(id, good, false)
	f.Add(id, []byte(`{"id":"`+id+`","proposal":null}`), true)
	f.Fuzz(func(t *testing.T, id string, data []byte, decided bool) {
		if ValidID(id) != nil {
			return
		}
		r, err := parse(id, data, decided)
		if err != nil {
			return
		}
		if r.ID != id || !strings.HasPrefix(r.Digest(), id[:12]) || (r.Decision != nil) != decided {
			t.Errorf("%q gives %+v", data, r)
		}
	})
}
