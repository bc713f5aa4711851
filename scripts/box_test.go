package scripts

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
	"bottle/pkg/state"
)

// A box is the containers of a bottle as the operator's tools find them: an
// egress-proxy with its labels, volume and files, an agent that idles, and on the
// proxy's network a world that is every host.
type box struct {
	t        *testing.T
	op       *operator
	e        *docker.Engine
	slug, id string
	ca       []byte // the bottle's authority
}

// boxHosts are the names that the world answers to.
var boxHosts = []string{"allowed.test", "new.test", "credential.test", "other.test"}

// newBox starts one on the engine e; the operator's environment has more.
func newBox(t *testing.T, e *docker.Engine, more ...string) *box {
	t.Helper()
	b := &box{t: t, e: e, slug: dockertest.Name("box")}
	b.id = b.slug + "-12345678"
	b.op = &operator{t: t, uid: os.Geteuid(), home: t.TempDir(), env: more}
	image := partsImage(t, e)
	if e.Podman() {
		b.op.env = append(b.op.env, "BOTTLE_DOCKER="+e.Program)
	} else {
		b.clean("network", "rm", b.object("out"))
		b.docker("network", "create", b.object("out"))
	}
	world := b.startWorld(image)
	b.startProxy(image, world)
	b.container("agent", "--network", "none", image, "/bin/world", "idle")
	b.docker("start", b.object("agent"))
	await(t, "the proxy serves", func() bool { _, err := b.table(); return err == nil })
	return b
}

func (b *box) object(what string) string { return "bottle-" + b.slug + "-" + what }

func (b *box) docker(args ...string) string {
	b.t.Helper()
	out, err := b.e.Output(b.t.Context(), nil, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out)
}

// clean removes something at the end of the test, if the engine is still there.
func (b *box) clean(args ...string) {
	b.t.Cleanup(func() {
		_, err := b.e.Output(context.Background(), nil, args...)
		var gone *docker.Unreachable
		if err != nil && !errors.As(err, &gone) {
			b.t.Error(err)
		}
	})
}

// network is the proxy's and the world's; none with podman, whose networks differ
// from machine to machine.
func (b *box) network() string {
	if b.e.Podman() {
		return "none"
	}
	return b.object("out")
}

// container makes one of the bottle's containers.
func (b *box) container(role string, args ...string) {
	b.t.Helper()
	b.clean("rm", "-f", b.object(role))
	head := []string{"create", "--name", b.object(role), "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "10001:10001",
		"--label", "bottle.name=" + b.slug, "--label", "bottle.id=" + b.id, "--label", "bottle.role=" + role}
	if b.e.Podman() {
		head = append(head, "--ulimit", "nofile=1024", "--ulimit", "nproc=1024")
	}
	b.docker(append(head, args...)...)
}

// startWorld returns the authority of the world's hosts.
func (b *box) startWorld(image string) []byte {
	b.t.Helper()
	cert, key, err := ca.New("world", time.Now())
	must(b.t, err)
	if b.e.Podman() {
		return cert // where there is no network there is no world
	}
	b.clean("rm", "-f", b.object("world"))
	args := []string{"create", "--name", b.object("world"), "--network", b.object("out")}
	for _, h := range boxHosts {
		args = append(args, "--network-alias", h)
	}
	b.docker(append(args, image, "/bin/world", "serve")...)
	must(b.t, b.e.CopyIn(b.t.Context(), b.object("world"), "/", docker.Entry{Name: "ca.pem", Mode: 0o644, Data: cert}, docker.Entry{Name: "ca-key.pem", Mode: 0o600, Data: key}))
	b.docker("start", b.object("world"))
	return cert
}

func (b *box) startProxy(image string, world []byte) {
	b.t.Helper()
	cert, key, err := ca.New("bottle "+b.slug, time.Now())
	must(b.t, err)
	b.ca = cert
	b.clean("volume", "rm", "-f", b.object("proxy"))
	const dir = "/bottle/egress-proxy/"
	b.container("egress-proxy", "--network", b.network(), "-v", b.object("proxy")+":/bottle", image,
		"/bin/egress-proxy", "-listen", "0.0.0.0:9099", "-bottle", b.slug, "-routes", dir+"routes.yaml", "-ca-cert", dir+"ca.pem", "-ca-key", dir+"ca-key.pem",
		"-token-dir", dir+"tokens", "-upstream-ca", dir+"upstream-ca.pem", "-allow-private", "10.0.0.0/8", "-allow-private", "172.16.0.0/12", "-allow-private", "192.168.0.0/16")
	var entries []docker.Entry
	put := func(name string, mode fs.FileMode, data []byte) {
		entries = append(entries, docker.Entry{Name: name, Mode: mode, UID: 10001, GID: 10001, Data: data})
	}
	put("egress-proxy", fs.ModeDir|0o700, nil)
	put("egress-proxy/tokens", fs.ModeDir|0o700, nil)
	put("egress-proxy/routes.yaml", 0o644, []byte(table("allowed.test")))
	put("egress-proxy/ca.pem", 0o644, cert)
	put("egress-proxy/ca-key.pem", 0o400, key)
	put("egress-proxy/upstream-ca.pem", 0o644, world)
	must(b.t, b.e.CopyIn(b.t.Context(), b.object("egress-proxy"), "/bottle", entries...))
	b.docker("start", b.object("egress-proxy"))
}

// table is what routesctl says that the proxy serves.
func (b *box) table() (string, error) {
	r, err := b.op.try("", "routesctl", "show", "-bottle", b.slug)
	if err == nil && r.code != 0 {
		err = errors.New(r.String())
	}
	return r.out, err
}

// served fails the test unless the running proxy serves exactly these hosts.
func (b *box) served(hosts ...string) {
	b.t.Helper()
	(&bottle{t: b.t, op: b.op, name: b.slug}).served(hosts...)
}

// get asks as the agent could, and returns "STATUS CODE BODY".
func (b *box) get(url string) string {
	b.t.Helper()
	out, err := b.e.Exec(b.t.Context(), b.object("world"), nil, "/bin/world", "get", url, "http://"+b.object("egress-proxy")+":9099")
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// dir is the operator's folder of the bottle.
func (b *box) dir() state.Dir { return b.op.dir(b.slug) }

// atEnd is what remains to be done after all tests.
var atEnd struct {
	sync.Mutex
	list []func()
}

// partsImages are the images of the programs, by the engine that has them. The lock
// is held while one is made.
var (
	partsImages = map[string]string{}
	making      sync.Mutex
	building    sync.Mutex // of world
)

// partsImage is an image of nothing but the toolkit's static programs and world,
// made once for each engine.
func partsImage(t *testing.T, e *docker.Engine) string {
	t.Helper()
	making.Lock()
	defer making.Unlock()
	if image := partsImages[e.String()]; image != "" {
		return image
	}
	worldProgram(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range []string{"egress-proxy", "routesctl", "world"} {
		data, err := os.ReadFile(filepath.Join(base, "bin", p))
		must(t, err)
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/" + p, Mode: 0o755, Size: int64(len(data))}))
		_, err = w.Write(data)
		must(t, err)
	}
	must(t, w.Close())
	image := fmt.Sprintf("%s:1", dockertest.Name("bottle-box"))
	_, err := e.Output(t.Context(), &b, "import", "-", image)
	must(t, err)
	partsImages[e.String()] = image
	atEnd.Lock()
	defer atEnd.Unlock()
	atEnd.list = append(atEnd.list, func() { e.Output(context.Background(), nil, "rmi", "-f", image) })
	return image
}

// worldProgram builds testdata/world once.
func worldProgram(t *testing.T) (path string) {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	path = filepath.Join(base, "bin", "world")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./testdata/world")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}
