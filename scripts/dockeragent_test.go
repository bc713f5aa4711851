package scripts

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
)

// agentTools are this machine's programs in the image of the tests' agents.
var agentTools = []string{"sh", "curl", "cat", "ls", "id", "env", "sleep", "mkdir", "rm", "ln", "mv", "touch", "stty", "grep", "mktemp", "mkfifo", "head", "tty"}

// agentImage is an image like any other: this machine's shell and curl, with the
// libraries they need, and nothing of the toolkit's.
func agentImage(t *testing.T, e *docker.Engine) string {
	t.Helper()
	making.Lock()
	defer making.Unlock()
	key := "agent on " + e.String()
	if image := partsImages[key]; image != "" {
		return image
	}
	needCurl(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(name string, data []byte, mode int64) {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: mode, Size: int64(len(data))}))
		_, err := w.Write(data)
		must(t, err)
	}
	for _, file := range closure(t, agentTools) {
		data, err := os.ReadFile(file[1])
		must(t, err)
		put(file[0], data, 0o755)
	}
	put("etc/passwd", []byte("root:x:0:0::/root:/bin/sh\nbuild:x:4321:4322::/home/build:/bin/sh\n"), 0o644)
	put("etc/ssl/certs/ca-certificates.crt", []byte("# of the image\n"), 0o644)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}))
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "home/build/", Mode: 0o755, Uid: 4321, Gid: 4322}))
	must(t, w.Close())
	image := dockertest.Name("bottle-agent") + ":1"
	_, err := e.Output(t.Context(), &b, "import", "--change", `CMD ["/bin/sh","-c","echo of the image; id -u"]`, "--change", "VOLUME /data", "-", image)
	must(t, err)
	partsImages[key] = image
	atEnd.Lock()
	defer atEnd.Unlock()
	atEnd.list = append(atEnd.list, func() { e.Output(context.Background(), nil, "rmi", "-f", image) })
	atEnd.list = append(atEnd.list, func() { dropParts(e) })
	return image
}

// closure are the programs and their libraries: where they are in the image, and here.
func closure(t *testing.T, tools []string) (files [][2]string) {
	t.Helper()
	seen := map[string]bool{}
	for _, tool := range tools {
		path, err := exec.LookPath(tool)
		must(t, err)
		files = append(files, [2]string{"bin/" + tool, path})
		out, _ := exec.Command("ldd", path).Output()
		for _, lib := range regexp.MustCompile(`/\S+`).FindAllString(string(out), -1) {
			if !seen[lib] {
				seen[lib] = true
				files = append(files, [2]string{lib, lib})
			}
		}
	}
	return files
}

// A dockside is an operator with a manifest for the docker backend, and a world
// that is every host.
type dockside struct {
	*operator
	t    *testing.T
	e    *docker.Engine
	name string // of the bottle
	cert []byte // the world's authority
	key  []byte
}

func newDockside(t *testing.T, more string) *dockside {
	t.Helper()
	return newDocksideOn(t, dockertest.Engine(t), more)
}

func newDocksideOn(t *testing.T, e *docker.Engine, more string) *dockside {
	t.Helper()
	d := &dockside{t: t, e: e, name: dockertest.Name("dock")}
	home := t.TempDir()
	d.operator = &operator{t: t, uid: os.Geteuid(), home: home, work: filepath.Join(home, "project"), manifest: filepath.Join(home, "bottle.yaml"),
		env: []string{"E2E_TOKEN=a-credential-of-e2e", "E2E_START=a-credential-at-the-start"}}
	must(t, os.Mkdir(d.work, 0o755))
	var err error
	d.cert, d.key, err = ca.New("world", time.Now())
	must(t, err)
	must(t, os.WriteFile(filepath.Join(home, "world.pem"), d.cert, 0o644))
	must(t, os.WriteFile(d.manifest, fmt.Appendf(nil, `image: %s
workspace: project
egress: {allowlist: [allowed.test]}
egress_proxy:
  upstream_ca: world.pem
  allow_private: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]
  routes:
    - {host: start.test, auth: {scheme: Bearer, token_ref: E2E_START}}
%s`, agentImage(t, e), more), 0o644))
	t.Cleanup(func() {
		if left := d.left(); left != "" {
			t.Errorf("left on the engine: %s", left)
		}
	})
	return d
}

// left is what the engine has of the bottle.
func (d *dockside) left() string {
	d.t.Helper()
	var s []string
	for _, kind := range [][]string{{"ps", "-a", "--format", "{{.Names}}"}, {"network", "ls", "--format", "{{.Name}}"}, {"volume", "ls", "--format", "{{.Name}}"}} {
		out, err := d.e.Output(context.Background(), nil, append(kind, "--filter", "label=bottle.name="+d.name)...)
		if err != nil {
			d.t.Fatal(err)
		}
		s = append(s, strings.Fields(string(out))...)
	}
	return strings.Join(s, " ")
}

func (d *dockside) object(what string) string { return "bottle-" + d.name + "-" + what }

// sail runs a bottle to its end.
func (d *dockside) sail(stdin string, args ...string) result {
	d.t.Helper()
	return d.feed(stdin, "bottlerun", append([]string{"run", "-backend", "docker", "-f", d.manifest}, args...)...)
}

// brought is a file of the workspace.
func (d *dockside) brought(name string) string {
	data, err := os.ReadFile(filepath.Join(d.work, name))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// berth starts a bottle whose agent is a shell, and puts a world onto its
// proxy's network.
func (d *dockside) berth(flags ...string) *bottle {
	d.t.Helper()
	b := d.startWith(d.name, append([]string{"-backend", "docker"}, flags...)...)
	d.world()
	return b
}

func (d *dockside) world() {
	d.t.Helper()
	name := d.object("world")
	args := []string{"create", "--name", name, "--network", d.object("out")}
	for _, h := range slices.Concat(boxHosts, apiHosts, []string{"start.test"}) {
		args = append(args, "--network-alias", h)
	}
	_, err := d.e.Output(d.t.Context(), nil, append(args, partsImage(d.t, d.e), "/bin/world", "serve")...)
	must(d.t, err)
	must(d.t, d.e.CopyIn(d.t.Context(), name, "/", docker.Entry{Name: "ca.pem", Mode: 0o644, Data: d.cert}, docker.Entry{Name: "ca-key.pem", Mode: 0o600, Data: d.key}))
	_, err = d.e.Output(d.t.Context(), nil, "start", name)
	must(d.t, err)
	await(d.t, "the world", func() bool { return strings.Contains(d.worldLog(), "ready") })
	d.t.Cleanup(d.sink)
}

// sink removes the world, which holds the bottle's network.
func (d *dockside) sink() { dockerCLI(d.t, "rm", "-f", d.object("world")) }

// got waits until the world has said what it was sent.
func (d *dockside) got(text string) {
	d.t.Helper()
	await(d.t, "the world to say: "+text, func() bool { return strings.Contains(d.worldLog(), text) })
}

func (d *dockside) worldLog() string {
	out, _ := dockerCLI(d.t, "logs", d.object("world"))
	return out
}

// address is that of the world.
func (d *dockside) address(name string) string {
	d.t.Helper()
	out, _ := dockerCLI(d.t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", name)
	return strings.Fields(out + " none")[0]
}

// hostPorts listens on every address of this machine.
func hostPorts(t *testing.T) (addrs []string) {
	t.Helper()
	ips, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range ips {
		ip := a.(*net.IPNet).IP
		if ip.IsLinkLocalUnicast() {
			continue
		}
		ln, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
		if err != nil {
			continue
		}
		t.Cleanup(func() { ln.Close() })
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs
}

// dockerCLI is runDocker that can also be used in a cleanup.
func dockerCLI(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("docker %q: %v\n%s", args, err, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// dropParts removes the image of the parts of this build, which bottlerun has made.
func dropParts(e *docker.Engine) {
	images := exec.Command(filepath.Join(base, "bin", "bottlerun"), "images")
	images.Env = append(os.Environ(), e.Env...)
	if e.Podman() {
		images.Env = append(images.Env, "BOTTLE_DOCKER="+e.Program)
	}
	if out, err := images.Output(); err == nil {
		e.Output(context.Background(), nil, "rmi", strings.TrimSpace(string(out)))
	}
}
