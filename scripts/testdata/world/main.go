// World is what is outside of a bottle in the tests with containers: origins, and
// a client that stands where the agent does. Under the name of an agent it is one.
package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"bottle/pkg/ca"
)

func main() {
	var err error
	switch args, name := os.Args[1:], filepath.Base(os.Args[0]); {
	case standins[name] != nil:
		err = agent(name)
	case len(args) == 1 && args[0] == "serve":
		err = serve()
	case len(args) == 1 && args[0] == "idle":
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		<-end
	case len(args) == 3 && args[0] == "get":
		err = get(args[1], args[2])
	default:
		err = fmt.Errorf("world %q", args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve is every host, with an authority that was put into /ca.pem and /ca-key.pem.
func serve() error {
	cert, err := os.ReadFile("/ca.pem")
	if err != nil {
		return err
	}
	key, err := os.ReadFile("/ca-key.pem")
	if err != nil {
		return err
	}
	authority, err := ca.Load(cert, key)
	if err != nil {
		return err
	}
	ln, err := tls.Listen("tcp", ":443", &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return authority.Leaf(h.ServerName)
	}})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var mu sync.Mutex
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			events(w, r)
			return
		}
		if a := cmp.Or(r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.Header.Get("X-Goog-Api-Key")); a != "" {
			mu.Lock()
			fmt.Printf("%s got %s\n", r.Host, a)
			mu.Unlock()
		}
		fmt.Fprintf(w, "hello from %s\n", r.Host)
	}))
}

// events is a stream (SSE) that ends only with its reader.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := 0; r.Context().Err() == nil; i++ {
		fmt.Fprintf(w, "data: %d\n\n", i)
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Millisecond)
	}
}

// get asks for a URL through a proxy and prints the status, the proxy's code of a
// refusal, and the body.
func get(target, proxy string) error {
	through, err := url.Parse(proxy)
	if err != nil {
		return err
	}
	c := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{Proxy: http.ProxyURL(through), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := c.Get(target)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	reason := resp.Header.Get("X-Egress-Proxy-Reason")
	if reason == "" {
		reason = "-"
	}
	fmt.Printf("%d %s %s\n", resp.StatusCode, reason, strings.TrimSpace(string(body)))
	return err
}
