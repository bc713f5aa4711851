package scripts

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"bottle/pkg/docker/dockertest"
)

// variant is the agents' image with a change of its configuration, and links, or
// with "=TEXT" files.
func (d *dockside) variant(change string, links ...string) string {
	d.t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(links); i += 2 {
		if text, ok := strings.CutPrefix(links[i+1], "="); ok {
			must(d.t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: links[i], Size: int64(len(text)), Mode: 0o755}))
			_, err := w.Write([]byte(text))
			must(d.t, err)
			continue
		}
		must(d.t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: links[i], Linkname: links[i+1], Mode: 0o777}))
	}
	must(d.t, w.Close())
	name := dockertest.Name("bottle-variant")
	ask := func(in *bytes.Buffer, args ...string) {
		_, err := d.e.Output(context.Background(), in, args...)
		must(d.t, err)
	}
	ask(&bytes.Buffer{}, "create", "--name", name, agentImage(d.t, d.e))
	ask(&b, "cp", "-", name+":/")
	ask(&bytes.Buffer{}, "commit", "--change", change, name, name+":1")
	ask(&bytes.Buffer{}, "rm", "--volumes", name)
	d.t.Cleanup(func() { dockerCLI(d.t, "rmi", "-f", name+":1") })
	return name + ":1"
}

// TestDockerImages: what an image says of itself neither replaces a part of the
// bottle, nor makes its agent root, nor is taken for another bottle.
func TestDockerImages(t *testing.T) {
	d := newDockside(t, "")
	text, err := os.ReadFile(d.manifest)
	must(t, err)
	with := func(image string, command ...string) result {
		t.Helper()
		must(t, os.WriteFile(d.manifest, bytes.Replace(text, []byte(agentImage(t, d.e)), []byte(image), 1), 0o644))
		return d.sail("", append([]string{d.name, "--"}, command...)...)
	}
	if r := with(d.variant("VOLUME /run/bottle/bin"), "true"); r.code != 1 || !strings.Contains(r.errors, `a volume at "/run/bottle/bin"`) {
		t.Errorf("over process 1: %v", r)
	}
	if r := with(d.variant("VOLUME /a/b/c", "a/b/c", "/run/bottle/bin"), "true"); !strings.Contains(r.errors, "/a/b/c there is a link") {
		t.Errorf("the same by way of a link: %v", r)
	}
	if r := with(d.variant("USER 00"), "id", "-u"); r.code != 0 || r.out != "1000\n" {
		t.Errorf("root as 00: %v", r)
	}
	// The launcher skips a line that some engines take, as root's.
	r := with(d.variant("USER odd", "etc/passwd", "=odd\nodd:x:77:77::/:/bin/sh\n"), "id", "-u")
	if r.code == 0 && r.out != "77\n" || r.code != 0 && !strings.Contains(r.errors, "is root in its container") {
		t.Errorf("root by a short line: %v", r)
	}

	// A container of such an image is not the bottle's, whatever its labels say.
	foreign := dockertest.Name("bottle-foreign")
	image := d.variant("LABEL bottle.name=" + d.name + " bottle.id=" + d.name + "-00000000 bottle.role=egress-proxy bottle.host=far")
	if _, err := d.e.Output(t.Context(), nil, "create", "--name", foreign, image); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dockerCLI(t, "rm", "-f", "--volumes", foreign) })
	d.must("bottlerun", "gc")
	d.want(1, "no bottle", "routesctl", "show", "-bottle", d.name)
	if r := with(agentImage(t, d.e), "id"); r.code != 0 {
		t.Errorf("beside a container with its labels: %v", r)
	}
	if _, code := dockerCLI(t, "inspect", "--type", "container", "--format", "{{.Name}}", foreign); code != 0 {
		t.Error("gc or a start has removed a container that is no bottle's")
	}
	dockerCLI(t, "rm", "-f", "--volumes", foreign)
}
