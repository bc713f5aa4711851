package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/reload"
)

// 200 real HUPs to a real process under load: no request fails, a stream goes
// on, and the last answer is about the last table.
//
// README: A reload fails no request and drops no stream, but those of a
// route taken away.
func TestSignalStorm(t *testing.T) {
	next := make(chan bool)
	origin, events := serveOrigin(t, next)
	dir := t.TempDir()
	routes := filepath.Join(dir, "routes.yaml")
	put := func(i int) {
		text := fmt.Sprintf("routes: [{host: localhost, ports: [%d]}, {host: n%d.test}]\n", origin.Port(), i)
		if err := os.WriteFile(routes+".tmp", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(routes+".tmp", reload.Next(routes)); err != nil {
			t.Fatal(err)
		}
	}
	put(-1)
	if err := os.Rename(reload.Next(routes), routes); err != nil {
		t.Fatal(err)
	}
	cmd, addr := startProxy(t, dir)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: addr})}}
	base := fmt.Sprintf("http://localhost:%d", origin.Port())
	stream, err := client.Get(base + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	stop, failed, asked := make(chan bool), make(chan error, 4), atomic.Int64{}
	for range 4 {
		go func() { failed <- ask(client, base, stop, &asked) }()
	}
	for i := range 200 {
		if i%10 == 0 {
			put(i)
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for n := asked.Load(); asked.Load() < n+2; {
			time.Sleep(100 * time.Microsecond)
		}
	}
	close(stop)
	for range 4 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	readEvents(t, stream.Body, next, events)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := reload.Await(ctx, func(s reload.Status) bool { return s.Generation > 10 && s.Error == "" && s.Routes == 2 },
		func() (reload.Status, error) { return reload.Read(reload.Path(routes)) }); err != nil {
		t.Error(err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after TERM: %v", err)
	}
}

// serveOrigin answers "ok", and on /stream one event for each of next.
func serveOrigin(t *testing.T, next chan bool) (netip.AddrPort, int) {
	const events = 20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stream" {
			io.WriteString(w, "ok")
			return
		}
		w.(http.Flusher).Flush()
		for range events {
			<-next
			io.WriteString(w, "data\n")
			w.(http.Flusher).Flush()
		}
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().(*net.TCPAddr).AddrPort(), events
}

func readEvents(t *testing.T, body io.ReadCloser, next chan bool, events int) {
	defer body.Close()
	b := make([]byte, 5)
	for range events {
		next <- true
		if _, err := io.ReadFull(body, b); err != nil || string(b) != "data\n" {
			t.Fatalf("the stream: %q %v", b, err)
		}
	}
}

func ask(client *http.Client, base string, stop chan bool, asked *atomic.Int64) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		r, err := client.Get(base)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != 200 {
			return fmt.Errorf("%d %q %v", r.StatusCode, b, err)
		}
		asked.Add(1)
	}
}

// startProxy runs egress-proxy on dir/routes.yaml and returns its address.
func startProxy(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cert, key, err := ca.New("bottle", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "ca.pem"), cert, 0o644)
	os.WriteFile(filepath.Join(dir, "ca-key.pem"), key, 0o600)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("egress-proxy", "-listen", "127.0.0.1:0", "-routes", "routes.yaml", "-ca-cert", "ca.pem", "-ca-key", "ca-key.pem",
		"-allow-private", "127.0.0.0/8", "-allow-private", "::1/128", "-access-log", "none")
	cmd.Dir, cmd.Stderr = dir, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		b, _ := os.ReadFile(log.Name())
		if addr := address(string(b)); addr != "" {
			return cmd, addr
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the proxy does not listen")
	return nil, ""
}
