package scripts

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestDockerGC: what may be starting from another machine stays, as does an image
// that is in use or new; an image of another version goes.
func TestDockerGC(t *testing.T) {
	d := newDockside(t, "")
	random := make([]byte, 6)
	rand.Read(random)
	version := hex.EncodeToString(random[:5])
	old, used, fresh := "bottle-parts:"+version+"00", "bottle-parts:"+version+"01", "bottle-parts:"+version+"02"
	loadImage(t, d, old, "2020-01-02T03:04:05Z")
	loadImage(t, d, used, "2020-01-02T03:04:06Z")
	if out, code := dockerCLI(t, "create", "--name", d.object("user"), used, "/none"); code != 0 {
		t.Fatal(out)
	}
	_, err := d.e.Output(t.Context(), strings.NewReader(""), "import", "-", fresh)
	must(t, err)
	labels := []string{"--label", "bottle.name=" + d.name, "--label", "bottle.id=" + d.name + "-12345678", "--label", "bottle.host=elsewhere", "--label", "bottle.boot=another"}
	_, err = d.e.Output(t.Context(), nil, append(append([]string{"create", "--name", d.object("agent"), "--label", "bottle.role=agent"}, labels...), agentImage(t, d.e))...)
	must(t, err)
	_, err = d.e.Output(t.Context(), nil, append(append([]string{"volume", "create"}, labels...), d.object("work"))...)
	must(t, err)
	t.Cleanup(func() {
		dockerCLI(t, "rm", "-f", "--volumes", d.object("user"), d.object("agent"))
		dockerCLI(t, "volume", "rm", d.object("work"))
		for _, image := range []string{old, used, fresh} {
			dockerCLI(t, "rmi", "-f", image)
		}
	})
	for _, flags := range [][]string{{"-n"}, nil} {
		r := d.run("bottlerun", append([]string{"gc"}, flags...)...)
		// Its exit code is also about what others have on the engine.
		if !strings.Contains(r.out, old+"\timage of another version on ") || strings.Contains(r.out, used) || strings.Contains(r.out, fresh) || strings.Contains(r.out, d.name) {
			t.Errorf("gc %q: %v", flags, r)
		}
		if !strings.Contains(r.errors, "bottle "+d.name+" of host elsewhere stays; nothing of it has run yet, and it may be starting there") {
			t.Errorf("gc %q: %v", flags, r)
		}
	}
	if left := d.left(); left != d.object("agent")+" "+d.object("work") {
		t.Errorf("left of what may be starting: %s", left)
	}
	for image, want := range map[string]int{old: 1, used: 0, fresh: 0} {
		if _, code := dockerCLI(t, "image", "inspect", image); code != want {
			t.Errorf("%s: inspect exits %d; wanted %d", image, code, want)
		}
	}
	d.want(1, "launcher  on host elsewhere; nothing of it has run yet", "bottlerun", "run", "-backend", "docker", "-f", d.manifest, d.name, "--", "true")
	// Once a part has run, it has ended with its launcher.
	dockerCLI(t, "start", "-a", d.object("agent"))
	if r := d.run("bottlerun", "gc"); !strings.Contains(r.out, d.name+"\t2 objects on ") || d.left() != "" {
		t.Errorf("gc of what has ended: %v, left %s", r, d.left())
	}
}

// loadImage loads an empty image that was made at a time.
func loadImage(t *testing.T, d *dockside, name, made string) {
	t.Helper()
	var layer bytes.Buffer
	must(t, tar.NewWriter(&layer).Close())
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","created":%q,"config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, made, sha256.Sum256(layer.Bytes()))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"config.json", config}, {"layer.tar", layer.Bytes()},
		{"manifest.json", fmt.Appendf(nil, `[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, name)},
	} {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data))}))
		_, err := w.Write(f.data)
		must(t, err)
	}
	must(t, w.Close())
	_, err := d.e.Output(t.Context(), &b, "load", "--quiet")
	must(t, err)
}
