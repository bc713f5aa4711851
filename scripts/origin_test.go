package scripts

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bottle/pkg/ca"
)

// originHosts are the names that the second proxy knows; all are one origin.
var originHosts = append([]string{"allowed.test", "refused.test", "new.test", "credential.test", "short.test"}, apiHosts...)

// apiHosts are those of the agents that are known.
var apiHosts = []string{"api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"}

// An origin is a server with TLS and an authority of its own on loopback:
// /git/ is git's http-backend, /goproxy/ a module proxy, /npm/ a registry, /upload counts what it
// is sent, /ws is a WebSocket, the rest says hello.
type origin struct {
	ca   []byte
	addr string
	open atomic.Int64 // connections

	chunked atomic.Int64 // requests of git's whose content had no length

	mu   sync.Mutex
	seen []string // "METHOD host path CREDENTIAL"
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	cert, key, err := ca.New("e2e origin", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{ca: cert, addr: ln.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("/", o.hello)
	mux.HandleFunc("/goproxy/", goproxy)
	mux.HandleFunc("/npm/", npm)
	mux.HandleFunc("/upload", upload)
	mux.HandleFunc("/ws", greet)
	if git := gitBackend(t); git != nil {
		mux.Handle("/git/", o.whole(git))
	}
	srv := &http.Server{Handler: o.noted(mux), TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.ServerName == "" {
			return authority.Leaf("127.0.0.1") // asked for by its address: RFC 6066 §3
		}
		return authority.Leaf(h.ServerName)
	}}, ConnState: o.count, ErrorLog: log.New(io.Discard, "", 0)} // the second proxy dials once in vain for each tunnel that it ends
	go srv.ServeTLS(ln, "", "")
	t.Cleanup(func() { srv.Close() })
	return o
}

func (o *origin) count(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		o.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		o.open.Add(-1)
	}
}

// table is the origin for the stand-in's resolver.
func (o *origin) table() string {
	var s []string
	for _, h := range originHosts {
		s = append(s, h+"="+o.addr)
	}
	return strings.Join(s, ",")
}

func (o *origin) noted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		credential := cmp.Or(r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.Header.Get("X-Goog-Api-Key"))
		o.seen = append(o.seen, fmt.Sprintf("%s %s %s %s", r.Method, r.Host, r.URL.Path, credential))
		o.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

func (o *origin) hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello from %s\n", r.Host)
}

// requests is what the origin was sent so far.
func (o *origin) requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.seen...)
}

// module is a tree of one module in the GOPROXY protocol (go.dev/ref/mod).
const module, moduleVersion, moduleText = "allowed.test/tiny", "v1.2.3", "module allowed.test/tiny\n\ngo 1.20\n"

func goproxy(w http.ResponseWriter, r *http.Request) {
	switch strings.TrimPrefix(r.URL.Path, "/goproxy/"+module+"/@v/") {
	case "list":
		fmt.Fprintln(w, moduleVersion)
	case moduleVersion + ".info":
		fmt.Fprintf(w, `{"Version":%q,"Time":"2024-01-02T03:04:05Z"}`, moduleVersion)
	case moduleVersion + ".mod":
		fmt.Fprint(w, moduleText)
	case moduleVersion + ".zip":
		w.Write(moduleZip())
	default:
		http.NotFound(w, r)
	}
}

func moduleZip() []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{"go.mod": moduleText, "tiny.go": "package tiny\n\nconst Mark = \"a module by way of the proxy\"\n"} {
		f, err := z.Create(module + "@" + moduleVersion + "/" + name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// gitBackend serves a bare repository with one commit at /git/repo.git, or is
// nil where git has no http-backend.
func gitBackend(t *testing.T) http.Handler {
	t.Helper()
	where, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil
	}
	program := filepath.Join(strings.TrimSpace(string(where)), "git-http-backend")
	if _, err := os.Stat(program); err != nil {
		return nil
	}
	root := t.TempDir()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"}
	script := `git init -q work && cd work && echo 'a file by way of the proxy' >file && git add file &&
		git commit -q -m one && git clone -q --bare . ../repo.git && git -C ../repo.git config http.receivepack true`
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making a repository: %v\n%s", err, out)
	}
	return &cgi.Handler{Path: program, Root: "/git", Dir: root,
		Env: append(env, "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"), Stderr: os.Stderr}
}
