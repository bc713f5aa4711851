package scripts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bottle/pkg/route"
)

// TestTwoAtOnce: of two changes at the same time none is lost.
func TestTwoAtOnce(t *testing.T) {
	asEach(t, twoAtOnce)
}

func twoAtOnce(t *testing.T, op *operator) {
	const rounds = 20
	b := op.start("twice")
	want := []string{"allowed.test"}
	for i := range rounds {
		hosts := []string{fmt.Sprintf("one-%d.test", i), fmt.Sprintf("two-%d.test", i)}
		want = append(want, hosts...)
		done := make(chan error, len(hosts))
		for _, h := range hosts {
			go func() {
				r, err := op.try("host: "+h, "routesctl", "add", "-bottle", "twice")
				if err == nil && r.code != 0 {
					err = errors.New(r.String())
				}
				done <- err
			}()
		}
		for range hosts {
			if err := <-done; err != nil {
				t.Errorf("round %d: %v", i, err)
			}
		}
	}
	b.served(want...)
	if out := op.must("pipemirror", "show", "-bottle", "twice"); strings.Count(out, "\n") != 2*rounds+1 {
		t.Errorf("pipelock allows %s", out)
	}
	op.must("superviser", "audit", "-bottle", "twice", "-verify")
}

// TestLook is what the operator asks a running bottle.
func TestLook(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("look")
		b.served("allowed.test")
		if out := op.must("routesctl", "list"); strings.Count("\n"+out, "\nlook\tlocal\t1\t") != 1 {
			t.Errorf("list: %q", out)
		}
		if out := op.must("routesctl", "explain", "-bottle", "look", "GET", "https://allowed.test/x"); !strings.HasPrefix(out, "allow\t-\tallowed.test\t") {
			t.Errorf("explain: %q", out)
		}
		if r := op.want(1, "", "routesctl", "explain", "-bottle", "look", "GET", "https://new.test/"); !strings.HasPrefix(r.out, "block\thost-not-allowed\t") {
			t.Errorf("explain: %v", r)
		}
		for _, verb := range [][]string{{"show", "-bottle", "none"}, {"apply", "-bottle", "none", op.file("t.yaml", table())}, {"explain", "-bottle", "none", "GET", "https://a.test/"}} {
			op.want(1, `no bottle "none"`, "routesctl", verb...)
		}
		op.want(2, "-bottle", "routesctl", "show")
	})
}

// TestCredential: one that comes with a route works at once, is readable by the
// proxy alone, and by nobody in the bottle.
//
// README: Credentials go into requests to the host that the route names,
// over verified TLS, and appear nowhere in the bottle, in logs or in
// arguments.
func TestCredential(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("auth")
		proposal := op.file("p.json", `{"host":"credential.test","auth":{"scheme":"Bearer","token_ref":"E2E_TOKEN"}}`)
		op.want(1, "the variable E2E_TOKEN is not set; nothing was changed", "routesctl", "add", "-bottle", "auth", proposal)
		b.served("allowed.test")
		op.env = append(op.env, "E2E_TOKEN=a-credential-of-e2e")
		op.must("routesctl", "add", "-bottle", "auth", proposal)
		if status, _, body := b.get("https://credential.test/who -H 'Authorization: Bearer of-the-agent'"); status != 200 {
			t.Errorf("%d %s", status, body)
		}
		if got := op.origin.requests(); len(got) != 1 || got[0] != "GET credential.test /who Bearer a-credential-of-e2e" {
			t.Errorf("the origin got %q", got)
		}
		files, err := filepath.Glob(filepath.Join(op.dir("auth").Tokens(), "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("credentials: %q, %v", files, err)
		}
		fi, err := os.Stat(files[0])
		must(t, err)
		if st := fi.Sys().(*syscall.Stat_t); fi.Mode() != 0o400 || int(st.Uid) != op.uid {
			t.Errorf("the credential's file: %v of %d", fi.Mode(), st.Uid)
		}
		if out, code := b.sh("env | grep of-e2e || cat " + files[0]); code == 0 {
			t.Errorf("the agent reads %s", out)
		}
		b.end()
		if _, err := os.Stat(files[0]); err == nil {
			t.Error("the credential outlives the bottle")
		}
	})
}

// TestExpires: the proxy itself ends a route that was let in for a while.
func TestExpires(t *testing.T) {
	op := asSelf(t)
	b := op.start("brief")
	op.must("routesctl", "add", "-bottle", "brief", "-for", "3s", op.file("p.json", `{"host":"short.test"}`))
	if status, _, body := b.get("https://short.test/"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	var code string
	await(t, "the route ends", func() bool {
		var status int
		status, code, _ = b.get("https://short.test/")
		return status != 200
	})
	if code != route.RouteExpired {
		t.Errorf("refused with %s", code)
	}
}
