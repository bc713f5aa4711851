package scripts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottle/pkg/term/termtest"
)

// propose has the agent propose a route over MCP and wait for the decision, with
// nothing but a shell; sh's output is what the superviser answers.
const propose = `f=$(mktemp -d)
mkfifo $f/in
superviser connect <$f/in >$f/out &
exec 3>$f/in
printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"sh","version":"1"}}}' \
	'{"jsonrpc":"2.0","method":"notifications/initialized"}' \
	'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"egress-proxy-block","arguments":ARGUMENTS}}' >&3
until grep -q '"id":2' $f/out; do sleep 0.02; done
exec 3>&-
wait
cat $f/out`

const wantsCredential = `{"host":"credential.test","path_allowlist":["/me"],"auth":{"scheme":"Bearer","token_ref":"E2E_TOKEN"},"justification":"to read my profile"}`

// proposed has the agent propose and returns the proposal's ID. The agent's call
// goes on; b.result(mark) is its answer.
func (b *bottle) proposed(arguments string) (id, mark string) {
	b.t.Helper()
	mark = b.send(strings.ReplaceAll(propose, "ARGUMENTS", arguments))
	await(b.t, "a proposal", func() bool {
		id, _, _ = strings.Cut(b.op.must("superviser", "list", "-bottle", b.name), "\t")
		return id != ""
	})
	return id, mark
}

// proposedBy is proposed with another tool.
func (b *bottle) proposedBy(tool, arguments string) (mark string) {
	b.t.Helper()
	return b.send(strings.NewReplacer("egress-proxy-block", tool, "ARGUMENTS", arguments).Replace(propose))
}

// reviews opens the operator's screen.
func (op *operator) reviews(bottle string) *termtest.Session {
	op.t.Helper()
	return termtest.Start(op.t, op.command(op.t.Context(), "superviser", "review", "-bottle", bottle), 80, 24)
}

// approves approves what is on the screen, as it asks for it: not at once, and when
// all was seen.
func approves(s *termtest.Session, subject, bottle string) {
	s.Type("a")
	typed := time.Now()
	s.Until(func(c termtest.Screen) bool {
		text := c.String()
		early, more := strings.Contains(text, "this has only now come"), strings.Contains(text, "there is more to see") || strings.Contains(text, "what is shown is new")
		if (early || more) && time.Since(typed) > time.Second {
			s.Type(map[bool]string{true: " a", false: "a"}[more])
			typed = time.Now()
		}
		return strings.Contains(text, "done: approve "+subject+" in "+bottle)
	}, "the approval of "+subject)
}

func quits(t *testing.T, s *termtest.Session) {
	t.Helper()
	s.Type("q")
	if code := s.End(); code != 0 {
		t.Errorf("review: exit %d", code)
	}
}

// TestApprove: the chain of filters, the verb and the screen do the same: the agent's
// proposal is installed with its credential, and then the agent hears of it.
func TestApprove(t *testing.T) {
	ways := map[string]func(op *operator, bottle, id string){
		"script": func(op *operator, bottle, id string) { op.must("approve", bottle, id) },
		"verb": func(op *operator, bottle, id string) {
			op.must("superviser", "show", "-bottle", bottle, id)
			op.must("superviser", "approve", "-bottle", bottle, id)
		},
		"screen": func(op *operator, bottle, id string) {
			s := op.reviews(bottle)
			s.Wait(id, "credential: the value of YOUR variable E2E_TOKEN", "!  credential.test: credential added")
			approves(s, "credential.test", bottle)
			quits(op.t, s)
		},
	}
	asEach(t, func(t *testing.T, op *operator) {
		op.env = append(op.env, "E2E_TOKEN=a-credential-of-e2e")
		left := map[string]string{}
		for way, approve := range ways {
			t.Run(way, func(t *testing.T) {
				op := op.with(t)
				b := op.start(way)
				id, mark := b.proposed(wantsCredential)
				approve(op, way, id)
				if out, code := b.result(mark); code != 0 || !strings.Contains(out, "approved: credential.test is live; retry the request now") {
					t.Errorf("the agent is told: exit %d %s", code, out)
				}
				if status, _, body := b.get("https://credential.test/me"); status != 200 {
					t.Errorf("%d %s", status, body)
				}
				if status, code, _ := b.get("https://credential.test/other"); status != 403 || code != "path-not-allowed" {
					t.Errorf("another path: %d %s", status, code)
				}
				left[way] = op.must("routesctl", "show", "-bottle", way) + token(t, op, way)
				op.must("superviser", "audit", "-bottle", way, "-verify")
				if out := op.must("superviser", "audit", "-bottle", way); !strings.Contains(out, "\t"+id+"\tapproved") {
					t.Errorf("the audit log: %s", out)
				}
			})
		}
		if left["script"] != left["verb"] || left["screen"] != left["verb"] || left["verb"] == "" {
			t.Errorf("the script leaves\n%s\nthe verb\n%s\nthe screen\n%s", left["script"], left["verb"], left["screen"])
		}
		for _, got := range op.origin.requests() {
			if got != "GET credential.test /me Bearer a-credential-of-e2e" {
				t.Errorf("the origin got %q", got)
			}
		}
	})
}

// token is the first delivered credential of a bottle.
func token(t *testing.T, op *operator, bottle string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(op.dir(bottle).Tokens(), "EGRESS_PROXY_TOKEN_0"))
	must(t, err)
	return string(data)
}

// TestReject: the reason reaches the agent, and nothing is installed.
func TestReject(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("no")
		id, mark := b.proposed(`{"host":"new.test","justification":"to try"}`)
		op.must("reject", "no", id, "use the mirror instead")
		out, _ := b.result(mark)
		for _, text := range []string{"rejected: ", "reason: use the mirror instead"} {
			if !strings.Contains(out, text) {
				t.Errorf("the agent is told %s; wanted %q", out, text)
			}
		}
		b.served("allowed.test")
		op.want(1, id, "reject", "no", id, "again")
		op.want(1, id, "approve", "no", id)
		b.served("allowed.test")
	})
}

// TestApproveRefuses: a chain that cannot go on changes nothing, passes the code
// of its link on, and leaves the proposal pending.
func TestApproveRefuses(t *testing.T) {
	op := asSelf(t)
	b := op.start("pend")
	id, mark := b.proposed(wantsCredential)
	const unknown = "0123456789ab-9"
	op.want(1, unknown, "approve", "pend", unknown)
	op.want(1, unknown, "reject", "pend", unknown, "why")
	op.want(1, "", "approve", "none", id)
	op.want(1, "", "reject", "none", id, "why")
	for _, args := range [][]string{{}, {"pend"}, {"pend", id, "x"}} {
		op.want(2, "usage: approve BOTTLE ID", "approve", args...)
	}
	op.want(2, "usage: reject BOTTLE ID REASON", "reject", "pend", id)
	op.want(2, "", "approve", "../pend", id)
	op.want(1, "", "approve", "pend", "../../pend")
	op.want(1, "E2E_TOKEN", "approve", "pend", id)
	op.must("superviser", "show", "-bottle", "pend", id)
	op.want(1, "E2E_TOKEN", "superviser", "approve", "-bottle", "pend", id)
	b.served("allowed.test")
	op.env = append(op.env, "E2E_TOKEN=late")
	op.must("routesctl", "add", "-bottle", "pend", op.file("p.json", `{"host":"new.test"}`))
	op.want(1, "not what was shown", "superviser", "approve", "-bottle", "pend", id)
	op.must("approve", "pend", id)
	if out, _ := b.result(mark); !strings.Contains(out, "approved: credential.test") {
		t.Errorf("the agent is told %s", out)
	}
	b.served("allowed.test", "new.test", "credential.test")
}
