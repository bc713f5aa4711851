package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// allowed is a host that the bottle's routes name.
const allowed = "allowed.test"

// proxy asks the only way out for what no route names.
func (h *hostile) proxy() {
	at, err := url.Parse(os.Getenv("http_proxy"))
	if err != nil || at.Host == "" {
		h.holds("no way out at all", false, os.Getenv("http_proxy"))
		return
	}
	_, port, _ := net.SplitHostPort(h.TCP[0])
	targets := []string{allowed + ":" + port, allowed + ":22", allowed + ".:22", "169.254.169.254:80", "metadata.google.internal:80", at.Host, "localhost:9099",
		"_egress-proxy.local:22", allowed + "@127.0.0.1:" + port, "127.0.0.1:" + port + "#" + allowed + ":443"}
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "0", "0.0.0.0",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "127.0.0.1.nip.test", "%31%32%37.0.0.1"} {
		targets = append(targets, host+":"+port)
	}
	targets = append(targets, h.TCP...)
	var all sync.WaitGroup
	for _, t := range targets {
		all.Go(func() { h.answered("CONNECT "+t, h.connect(at.Host, t)) })
		all.Go(func() {
			h.answered("GET http://"+t+"/", h.raw(at.Host, "GET http://"+t+"/ HTTP/1.1\r\nHost: "+t+"\r\n\r\n"))
		})
	}
	all.Wait()
	l, err := net.Listen("tcp", at.Host)
	if err == nil {
		l.Close()
	}
	h.refused("listen in its place", err)
	h.introspection(at.Host)
	h.smuggling(at.Host, port)
}

// answered takes a status line's code, or 0 for none.
func (h *hostile) answered(attempt string, status int) {
	verdict := "OPEN"
	if status == 0 || status >= 400 {
		verdict = "blocked"
	}
	h.say(verdict, attempt, fmt.Sprint("status ", status))
}

// raw sends bytes and returns the status of what comes first.
func (h *hostile) raw(proxy, request string) int {
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		return 0
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	return resp.StatusCode
}

// connect asks for a tunnel; a refusal may be inside TLS.
func (h *hostile) connect(proxy, target string) int {
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		return 0
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: "CONNECT"})
	if err != nil {
		return 0
	}
	if resp.StatusCode != 200 {
		return resp.StatusCode
	}
	host, _, _ := net.SplitHostPort(target)
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: host})
	if _, err := fmt.Fprintf(s, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", target); err != nil {
		return 0
	}
	if resp, err = http.ReadResponse(bufio.NewReader(s), nil); err != nil {
		return 0
	}
	return resp.StatusCode
}

// introspection tells names, and no secret; nothing there can be changed.
func (h *hostile) introspection(proxy string) {
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxy})}}
	for _, path := range []string{"/", "/ca-key.pem", "/../egress-proxy/ca-key.pem", "/%2e%2e/ca-key.pem", "/tokens", "/tokens/EGRESS_PROXY_TOKEN_0", "/routes.yaml",
		"/debug/pprof/", "/debug/vars", "/reload", "/ca.pem/../ca-key.pem"} {
		resp, err := c.Get("http://_egress-proxy.local" + path)
		if err != nil {
			h.refused("GET "+path, err)
			continue
		}
		resp.Body.Close()
		h.answered("GET "+path, resp.StatusCode)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE"} {
		req, _ := http.NewRequest(method, "http://_egress-proxy.local/allowlist", strings.NewReader("{}"))
		resp, err := c.Do(req)
		if err != nil {
			h.refused(method+" /allowlist", err)
			continue
		}
		resp.Body.Close()
		h.answered(method+" /allowlist", resp.StatusCode)
	}
}

// smuggling: requests that two parsers would read as one, and as two.
func (h *hostile) smuggling(proxy, port string) {
	inner := "GET http://127.0.0.1:" + port + "/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	head := "POST http://" + allowed + "/ HTTP/1.1\r\nHost: " + allowed + "\r\n"
	for name, request := range map[string]string{
		"a length beside chunks":   head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":              head + "Content-Length: 0\r\nContent-Length: 4\r\n\r\n" + inner,
		"a coding of no name":      head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
		"a folded line":            head + "X: y\r\n Content-Length: 4\r\n\r\n" + inner,
		"a bare line feed":         head + "X: y\nContent-Length: 4\r\n\r\n" + inner,
		"another host":             "GET http://" + allowed + "/ HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\n\r\n",
		"a path for a proxy":       "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\n\r\n",
		"an upgrade to plain HTTP": "GET http://127.0.0.1:" + port + "/ HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"another protocol":         "SSH-2.0-OpenSSH_9.9\r\n\r\n",
	} {
		h.answered(name, h.raw(proxy, request))
	}
}

// flood is how many connections superviser is troubled with at once.
const flood = 200

// superviser is the agent's to talk to, and not to replace.
func (h *hostile) superviser() {
	own := filepath.Join(os.Getenv("HOME"), "own.sock")
	l, err := net.Listen("unix", own)
	if err == nil {
		h.refused("move a socket of mine there", os.Rename(own, superSock))
		l.Close()
	}
	h.refused("unlink it", os.Remove(superSock))
	h.refused("rename it", os.Rename(superSock, bottleDir+"/old.sock"))
	h.refused("link over it", os.Symlink(own, superSock))
	h.refused("close it to others", os.Chmod(superSock, 0))
	if l, err = net.Listen("unix", superSock); err == nil {
		l.Close()
	}
	h.refused("listen there", err)
	if l, err = net.Listen("unix", bottleDir+"/init.sock"); err == nil {
		l.Close()
	}
	h.refused("listen where process 1 is told", err)
	var all sync.WaitGroup
	for i := range flood {
		all.Go(func() {
			c, err := net.Dial("unix", superSock)
			if err != nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience / 2))
			io.WriteString(c, strings.Repeat([]string{"{", "\x00", "[1,2", `{"jsonrpc":"2.0","id":1}` + "\n"}[i%4], 4096))
		})
	}
	all.Wait()
	h.holds("a flood silences it", serves(), fmt.Sprint(flood, " connections"))
}

// serves asks superviser as a client does, and again while it turns one away
// that has not seen yet that others are gone.
func serves() bool {
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", superSock)
		if err != nil {
			continue
		}
		c.SetDeadline(late)
		io.WriteString(c, `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`+"\n")
		var answer struct{ ID int }
		err = json.NewDecoder(c).Decode(&answer)
		c.Close()
		if err == nil && answer.ID == 7 {
			return true
		}
	}
	return false
}
