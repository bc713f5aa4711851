package main

import (
	"strings"
	"testing"

	"bottle/pkg/proposal"
)

// TestDigestKnowsAnEnd: the agent can use up a route between show and approve,
// and an approval then renews all of it without an end, which nobody was shown.
func TestDigestKnowsAnEnd(t *testing.T) {
	tab := table(t, "routes:\n- host: few.example\n  path_allowlist: [/a]\n  max_uses: 5\n")
	p := propose(t, `{host: few.example, path_allowlist: [/b]}`)
	r := proposal.Record{Component: proposal.EgressProxy, Proposal: proposal.OfRoute(p)}
	shown, err := viewOf(r, p, tab, map[string]int64{"few.example": 4})
	if err != nil {
		t.Fatal(err)
	}
	usedUp, err := viewOf(r, p, tab, map[string]int64{"few.example": 5})
	if err != nil {
		t.Fatal(err)
	}
	if shown.Digest == usedUp.Digest {
		t.Errorf("one digest for two approvals:\n%s\n%s", shown.text(), usedUp.text())
	}
	note := shownNote{Digest: shown.Digest, Record: &shown.Record, Ended: shown.ended}
	if said := strings.Join(note.changed(usedUp), "\n"); !strings.Contains(said, "has ended since") {
		t.Errorf("of what has changed it says %q", said)
	}
	again, err := viewOf(r, p, tab, map[string]int64{"few.example": 3})
	if err != nil || again.Digest != shown.Digest {
		t.Errorf("one use more or less unbinds an approval: %v", err)
	}
}
