package scripts

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestApprovedIsLive: an agent that reads "approved" retries at once, and passes,
// every time. BOTTLE_APPROVALS is how many times, 3 by itself.
func TestApprovedIsLive(t *testing.T) {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("BOTTLE_APPROVALS")); err == nil {
		rounds = n
	}
	needCurl(t)
	op := asSelf(t)
	b := op.start("live")
	passed := 0
	for i := range rounds {
		path := fmt.Sprintf("/p%d", i)
		mark := b.send(strings.ReplaceAll(strings.Replace(propose, "exec 3>&-", "curl -s -o /dev/null -w 'next=%{http_code}\\n' https://new.test"+path+"\nexec 3>&-", 1),
			"ARGUMENTS", fmt.Sprintf(`{"host":"new.test","path_allowlist":[%q],"justification":"to read"}`, path)))
		id := ""
		await(t, "a proposal", func() bool {
			id, _, _ = strings.Cut(op.must("superviser", "list", "-bottle", "live"), "\t")
			return id != ""
		})
		op.must("superviser", "show", "-bottle", "live", id)
		op.must("superviser", "approve", "-bottle", "live", id)
		out, _ := b.result(mark)
		if strings.Contains(out, "approved: new.test is live") && strings.Contains(out, "next=200") {
			passed++
		} else {
			t.Errorf("round %d: %s", i, out)
		}
	}
	t.Logf("%d of %d passed at once", passed, rounds)
}
