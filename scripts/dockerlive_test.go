package scripts

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bottle/pkg/docker/dockertest"
)

// TestDockerTwoAtOnce: of two changes at the same time, made on two machines as far
// as the tools can tell, none is lost. BOTTLE_ROUNDS asks for more rounds.
func TestDockerTwoAtOnce(t *testing.T) {
	alongside(t)
	rounds := 10
	if n, err := strconv.Atoi(os.Getenv("BOTTLE_ROUNDS")); err == nil {
		rounds = n
	}
	b := newBox(t, dockertest.Engine(t))
	elsewhere := b.op.with(t)
	elsewhere.home = t.TempDir()
	want := []string{"allowed.test"}
	start := time.Now()
	for i := range rounds {
		done := make(chan error, 2)
		for j, op := range []*operator{b.op, elsewhere} {
			host := fmt.Sprintf("n%d-%d.test", i, j)
			want = append(want, host)
			go func() {
				r, err := op.try("host: "+host, "routesctl", "add", "-bottle", b.slug)
				if err == nil && r.code != 0 {
					err = errors.New(r.String())
				}
				done <- err
			}()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Errorf("round %d: %v", i, err)
		}
	}
	b.served(want...)
	t.Logf("%d of %d rounds, %v each", rounds, rounds, (time.Since(start) / time.Duration(rounds)).Round(time.Millisecond))
	// What the other has changed is told, and not taken back unseen.
	if out := b.op.must("routesctl", "history", "-bottle", b.slug); !strings.Contains(out, "\t-\t-\tchanged from elsewhere\n") {
		t.Errorf("history: %s", out)
	}
}

// TestDockerCredential: one that comes with a route works at once, and is in its
// file alone.
func TestDockerCredential(t *testing.T) {
	alongside(t)
	b := newBox(t, dockertest.Engine(t))
	op := b.op
	const value, second = "a-credential-of-e2e", "another-credential-of-e2e"
	proposal := op.file("p.json", `{"host":"credential.test","auth":{"scheme":"Bearer","token_ref":"E2E_TOKEN"}}`)
	op.want(1, "the variable E2E_TOKEN is not set; nothing was changed", "routesctl", "add", "-bottle", b.slug, proposal)
	op.env = append(op.env, "E2E_TOKEN="+value, "E2E_SECOND="+second)
	op.must("routesctl", "add", "-bottle", b.slug, proposal)
	sent := func(value string) bool {
		return strings.HasSuffix(b.docker("logs", b.object("world")), "credential.test got Bearer "+value+"\n")
	}
	if got := b.get("https://credential.test/"); got != "200 - hello from credential.test" || !sent(value) {
		t.Errorf("%s\n%s", got, b.docker("logs", b.object("world")))
	}
	onlyInItsFile(t, b, value)
	// In containers all credentials are files, so that one can be replaced.
	next := op.file("next.yaml", op.must("routesctl", "show", "-bottle", b.slug))
	op.must("routesctl", "apply", "-bottle", b.slug, "-token", "EGRESS_PROXY_TOKEN_0=E2E_SECOND", next)
	if b.get("https://credential.test/"); !sent(second) {
		t.Errorf("replaced: %s", b.docker("logs", b.object("world")))
	}
	// A slot is given again once its route is gone, so no rollback trusts it.
	op.must("routesctl", "apply", "-bottle", b.slug, op.file("none.yaml", table("allowed.test")))
	if _, err := b.e.CopyOut(t.Context(), b.object("egress-proxy"), slotPath, 100); err == nil {
		t.Error("the credential stays where its route is gone")
	}
	op.want(1, "its credential is no longer in the slot EGRESS_PROXY_TOKEN_0; nothing was changed", "routesctl", "rollback", "-bottle", b.slug)
	op.must("routesctl", "rollback", "-bottle", b.slug, "-token", "EGRESS_PROXY_TOKEN_0=E2E_TOKEN")
	if b.get("https://credential.test/"); !sent(value) {
		t.Errorf("rolled back: %s", b.docker("logs", b.object("world")))
	}
}

// slotPath is the file of the first credential in the proxy's container.
const slotPath = "/bottle/egress-proxy/tokens/EGRESS_PROXY_TOKEN_0"

// onlyInItsFile looks for a credential everywhere else.
func onlyInItsFile(t *testing.T, b *box, value string) {
	t.Helper()
	files, err := b.e.CopyOut(t.Context(), b.object("egress-proxy"), "/bottle", 1<<20)
	must(t, err)
	for _, f := range files {
		if strings.HasSuffix(slotPath, f.Name) {
			if f.Mode != 0o400 || f.UID != 10001 || f.GID != 10001 || string(f.Data) != value {
				t.Errorf("%s: mode %v of %d:%d", f.Name, f.Mode, f.UID, f.GID)
			}
		} else if strings.Contains(string(f.Data), value) {
			t.Errorf("%s has it", f.Name)
		}
	}
	for _, role := range []string{"agent", "egress-proxy"} {
		inspected := b.docker("inspect", "--type", "container", "--format", "{{json .}}", b.object(role))
		var c struct{ State struct{ Pid int } }
		must(t, json.Unmarshal([]byte(strings.Trim(inspected, "[]\n")), &c)) // podman puts it in a list
		texts := map[string]string{"inspect": inspected, "logs": b.docker("logs", b.object(role)), "diff": b.docker("diff", b.object(role))}
		for _, f := range []string{"environ", "cmdline"} {
			if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.State.Pid, f)); err == nil {
				texts[f] = string(data)
			} else if os.Geteuid() == 0 {
				t.Error(err)
			}
		}
		for what, text := range texts {
			if strings.Contains(text, value) {
				t.Errorf("%s of %s has it", what, role)
			}
		}
	}
	if image := b.docker("image", "inspect", partsImage(t, b.e)); strings.Contains(image, value) {
		t.Error("the image has it")
	}
	must(t, filepath.WalkDir(b.op.home, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), value) {
			t.Errorf("%s has it, or %v", path, err)
		}
		return nil
	}))
}

// TestDockerNoFailedRequest: while the table changes again and again no request
// fails, and a stream goes on.
func TestDockerNoFailedRequest(t *testing.T) {
	alongside(t)
	const requests, applies = 5000, 20
	b := newBox(t, dockertest.Engine(t))
	client := b.client()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, streamed := streamed(ctx, t, client)
	var done, failed atomic.Int64
	var applied atomic.Bool
	ended := make(chan struct{})
	for range 4 {
		go func() {
			for pace := time.Tick(5 * time.Millisecond); !applied.Load() || done.Load() < requests; <-pace { // the rest is for the engine
				if err := fetch(client); err != nil && failed.Add(1) < 5 {
					t.Error(err)
				}
				done.Add(1)
			}
			ended <- struct{}{}
		}()
	}
	var took []time.Duration
	for i := range applies {
		hosts := []string{"allowed.test", "new.test"}[:1+i%2]
		r := b.op.run("routesctl", "apply", "-bottle", b.slug, b.op.file("t.yaml", table(append(hosts, fmt.Sprintf("n%d.test", i))...)))
		if r.code != 0 {
			t.Error(r)
		}
		took = append(took, r.took)
	}
	applied.Store(true)
	for range 4 {
		<-ended
	}
	before := events.Load()
	await(t, "the stream goes on", func() bool { return events.Load() > before+10 })
	cancel()
	if err := <-streamed; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ended: %v", err)
	}
	slices.Sort(took)
	t.Logf("%d requests, %d failed, %d applies (median %v), %d events of one stream", done.Load(), failed.Load(), applies, took[applies/2].Round(time.Millisecond), events.Load())
}

// client goes through the proxy of a box on this machine, by its address in the
// network that the box has made.
func (b *box) client() *http.Client {
	b.t.Helper()
	var c struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	must(b.t, json.Unmarshal([]byte(b.docker("inspect", "--format", "{{json .}}", b.object("egress-proxy"))), &c))
	proxy := &url.URL{Scheme: "http", Host: c.NetworkSettings.Networks[b.object("out")].IPAddress + ":9099"}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.ca)
	tr := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 8}
	b.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func fetch(client *http.Client) error {
	resp, err := client.Get("https://allowed.test/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != 200 || string(body) != "hello from allowed.test\n") {
		err = fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	return err
}

// streamed reads a stream of events until ctx ends, or it does.
func streamed(ctx context.Context, t *testing.T, client *http.Client) (*atomic.Int64, <-chan error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "https://allowed.test/events", nil)
	must(t, err)
	resp, err := client.Do(req)
	must(t, err)
	var n atomic.Int64
	end := make(chan error, 1)
	go func() {
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if got, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if got != strconv.FormatInt(n.Load(), 10) {
					end <- fmt.Errorf("event %s; wanted %d", got, n.Load())
					return
				}
				n.Add(1)
			}
		}
		if err := lines.Err(); err != nil {
			end <- err
			return
		}
		end <- io.EOF
	}()
	return &n, end
}
