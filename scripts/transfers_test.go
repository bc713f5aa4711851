package scripts

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// whole hands git's http-backend contents with a length, which CGI needs (RFC
// 3875 §4.1.2) and a large push has not.
func (o *origin) whole(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 0 {
			o.chunked.Add(1)
			b, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), 400)
				return
			}
			r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
		}
		h.ServeHTTP(w, r)
	})
}

// upload says what came, and how it was announced.
func upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	fmt.Fprintf(w, "%d bytes, length %d, expect %q\n", n, r.ContentLength, r.Header.Get("Expect"))
}

// greet accepts a WebSocket (RFC 6455 §4.2.2), says hello and closes.
func greet(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-WebSocket-Version") != "13" {
		http.Error(w, "no WebSocket handshake", 400)
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	const hello = "hello over a WebSocket"
	io.WriteString(c, "\x81"+string(rune(len(hello)))+hello+"\x88\x02\x03\xe8")
}

// nodeAnswer is how a script of Node's ends, and where its proxy is. Node's own
// Host in a CONNECT would be the proxy's name, which disagrees with the target.
const nodeAnswer = `const done = (status, body) => { console.log(status, body); process.exit(status === 200 ? 0 : 1) };
const proxy = new URL(process.env.https_proxy);
`

const pythonClient = `import os, http.client, urllib.parse
p = urllib.parse.urlsplit(os.environ["https_proxy"])
c = http.client.HTTPSConnection(p.hostname, p.port)
c.set_tunnel("HOST", 443)
for i in range(20):
    c.request("POST" if i % 2 else "GET", "/", body=iter([b"in ", b"pieces"]) if i % 2 else None)
    r = c.getresponse()
    b = r.read().decode()
    if r.status != 200: raise SystemExit("%d %s" % (r.status, b))
print(i, b)`

const pythonRequests = `import requests
s = requests.Session()
for i in range(5):
    r = s.get("https://HOST/")
    if r.status_code != 200: raise SystemExit("%d %s" % (r.status_code, r.text))
print(i, r.text)`

const nodeHTTPS = nodeAnswer + `const http = require("http"), https = require("https");
http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: "HOST:443", headers: { host: "HOST:443" } }).on("connect", (_, socket) => {
  https.get({ host: "HOST", servername: "HOST", socket, agent: false }, (r) => {
    let b = ""; r.on("data", (d) => b += d).on("end", () => done(r.statusCode, b)) })
}).end()`

const nodeHTTP2 = nodeAnswer + `const http = require("http"), http2 = require("http2"), tls = require("tls");
http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: "HOST:443", headers: { host: "HOST:443" } }).on("connect", (_, socket) => {
  const s = http2.connect("https://HOST", { createConnection: () => tls.connect({ socket, servername: "HOST", ALPNProtocols: ["h2"] }) });
  let left = 20;
  for (let i = 0; i < 20; i++) {
    let status, b = ""; const r = s.request({ ":path": "/" + i });
    r.on("response", (h) => status = h[":status"]).on("data", (d) => b += d)
      .on("end", () => { if (status !== 200 || --left === 0) done(status, b) });
  }
}).end()`

const nodeFetch = nodeAnswer + `const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || major === 22 && minor < 21) process.exit(77); // knows no proxy variables
fetch("https://HOST/").then(async (r) => done(r.status, await r.text()))`

// TestOtherClients has more clients fetch as in TestClients, on connections that
// serve several requests where they can.
func TestOtherClients(t *testing.T) {
	const hello = "hello from allowed.test\n"
	op := asSelf(t)
	for _, c := range []client{
		{"wget", "wget", "wget -nv --content-on-error -O - https://HOST/", hello},
		{"python http.client", "/usr/bin/python3", "/usr/bin/python3 -c '" + pythonClient + "'", "19 " + hello},
		{"python requests", "/usr/bin/python3", "/usr/bin/python3 -c 'import requests' 2>/dev/null || exit 77\n/usr/bin/python3 -c '" + pythonRequests + "'", "4 " + hello},
		{"node https", "node", "node -e '" + nodeHTTPS + "'", "200 " + hello},
		{"node http2", "node", "node -e '" + nodeHTTP2 + "'", "200 " + hello},
		{"node fetch", "node", "node -e '" + nodeFetch + "'", "200 " + hello},
	} {
		t.Run(c.name, func(t *testing.T) { op.with(t).tries(c) })
	}
}

// TestUploads: contents that are announced in different ways arrive whole.
func TestUploads(t *testing.T) {
	needCurl(t)
	op := asSelf(t).unscanned("allowed.test")
	const size = "3000000"
	for _, c := range []struct{ name, script, want string }{
		{"expect", "curl -sS --http1.1 -H 'Expect: 100-continue' -T file https://HOST/upload", size + " bytes, length " + size + `, expect "100-continue"`},
		{"length", "curl -sS --http1.1 -H Expect: -T file https://HOST/upload", size + " bytes, length " + size + `, expect ""`},
		{"chunked", "curl -sS --http1.1 -T - https://HOST/upload <file", size + " bytes, length -1, "},
		{"http2", "curl -sS --http2 -T file -w '%{http_version}\n' https://HOST/upload", size + " bytes, length " + size + ", expect \"\"\n2\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := op.with(t).inside("head -c " + size + " /dev/urandom >file && " + strings.ReplaceAll(c.script, "HOST", "allowed.test"))
			if r.code != 0 || !strings.Contains(r.out, c.want) {
				t.Errorf("wanted %q; got %v", c.want, r)
			}
		})
	}
}

// TestLargePush: git sends more than its buffer holds (http.postBuffer, 1 MiB)
// in chunks, and another clone fetches it.
func TestLargePush(t *testing.T) {
	op := asSelf(t)
	r := op.inside(`command -v git >/dev/null || exit 77
		export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
		set -e
		git clone -q https://allowed.test/git/repo.git other
		git clone -q https://allowed.test/git/repo.git push
		cd push; head -c 3000000 /dev/urandom >large; git add large; git commit -q -m large; git push -q
		cd ../other; git fetch -q; git merge -q --ff-only; cmp large ../push/large; git log --format=%s`)
	if r.code == missing {
		t.Skip("git is not installed")
	}
	if r.code != 0 || !strings.HasPrefix(r.out, "large\n") {
		t.Errorf("got %v", r)
	}
	if op.origin.chunked.Load() == 0 {
		t.Error("git sent no content in chunks, so that this shows little")
	}
}

// TestWebSocketClients: curl speaks it, or at least makes the handshake.
func TestWebSocketClients(t *testing.T) {
	needCurl(t)
	op := asSelf(t).unscanned("allowed.test")
	for name, script := range map[string]string{
		"curl wss": "curl --version | grep -q '^Protocols:.* wss' || exit 77\ncurl -sSN -m 15 wss://HOST/ws; true",
		"handshake": `curl -sSN -m 15 --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
			-H 'Sec-WebSocket-Key: c2l4dGVlbiBieXRlcy4uLg==' https://HOST/ws; true`,
	} {
		t.Run(name, func(t *testing.T) {
			r := op.with(t).inside(strings.ReplaceAll(script, "HOST", "allowed.test"))
			if r.code == missing {
				t.Skip("this curl was built without WebSocket")
			}
			if !strings.Contains(r.out, "hello over a WebSocket") {
				t.Errorf("got %v", r)
			}
		})
	}
}
