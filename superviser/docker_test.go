package main

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"bottle/pkg/bottles"
	"bottle/pkg/capability"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
	"bottle/pkg/proposal"
	"bottle/pkg/state"
	"bottle/pkg/strictjson"
)

// superImage is an image with superviser in it, as bottlerun makes one.
func superImage(t *testing.T, e *docker.Engine) string {
	t.Helper()
	data := dockertest.Program(t, ".")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "bottle/", Mode: 0o755, Uid: 10001, Gid: 10001},
		{Typeflag: tar.TypeDir, Name: "bottle/queue/", Mode: 0o700, Uid: 10001, Gid: 10001},
		{Typeflag: tar.TypeReg, Name: "bin/superviser", Mode: 0o755, Size: int64(len(data))},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	image := dockertest.Name("bottle-test-super") + ":1"
	if _, err := e.Output(t.Context(), &b, "import", "-", image); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Output(context.Background(), nil, "rmi", "-f", image) })
	return image
}

// TestDockerQueue: the operator's verbs on the queue in a container, and an image
// that is approved and built.
func TestDockerQueue(t *testing.T) {
	e := dockertest.Engine(t)
	image := superImage(t, e)
	slug := dockertest.Name("sup")
	name := bottles.ContainerName(slug, "superviser")
	t.Cleanup(func() { e.Output(context.Background(), nil, "rm", "-f", name) })
	if _, err := e.Output(t.Context(), nil, "run", "-d", "--name", name, "--network", "none", "--user", "10001:10001",
		"--label", bottles.LabelName+"="+slug, "--label", bottles.LabelID+"="+slug+"-1", "--label", bottles.LabelRole+"=superviser",
		image, "/bin/superviser", "serve", "-queue", "/bottle/queue", "-listen", "unix:/bottle/s"); err != nil {
		t.Fatal(err)
	}
	now, text := "FROM "+image+"\n", "FROM "+image+"\nENV TOOL=\"there\"\n"
	record := proposal.Record{Component: proposal.Capability, Proposal: proposal.OfDockerfile(text), Justification: "to compile"}
	record.ID = record.Digest()[:12] + "-1"
	line, err := strictjson.Encode(record)
	if err != nil {
		t.Fatal(err)
	}
	ours := func(name string, data []byte) docker.Entry {
		return docker.Entry{Name: name, Mode: 0o600, UID: 10001, GID: 10001, Data: data}
	}
	if err := e.CopyIn(t.Context(), name, "/bottle", ours("Dockerfile", []byte(now))); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"BOTTLE_DIR": t.TempDir(), "USER": "ada"}
	verb := func(run func(context.Context, *cli.Env) error, args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), &cli.Env{Prog: "superviser", Args: args, Stdout: &out, Stderr: &out, Stdin: strings.NewReader(""), Getenv: func(k string) string {
			if v, ok := vars[k]; ok {
				return v
			}
			return os.Getenv(k)
		}})
		return out.String(), err
	}
	if out, err := verb(list, "-bottle", slug); err != nil || out != "" { // serve makes the folders; so does _queue
		t.Fatalf("list: %q, %v", out, err)
	}
	if err := e.CopyIn(t.Context(), name, "/bottle/queue/pending", ours(record.ID+".json", line)); err != nil {
		t.Fatal(err)
	}
	if out, err := verb(list); err != nil || !strings.Contains(out, record.ID+"\tpending\tcapability\t") || !strings.Contains(out, "\t"+slug+"\thigh\t1\tthe image\tto compile\n") {
		t.Fatalf("list of all: %q, %v", out, err)
	}
	if out, err := verb(show, record.ID); err != nil || !strings.Contains(out, "change\t+ ENV TOOL=\"there\"\n") {
		t.Fatalf("show: %q, %v", out, err)
	}
	t.Cleanup(func() { e.Output(context.Background(), nil, "rmi", "-f", capability.Tag(slug, text)) })
	if out, err := verb(approve, "-bottle", slug, record.ID); err != nil {
		t.Fatalf("approve: %q, %v", out, err)
	}
	dir, err := state.At(vars["BOTTLE_DIR"], slug)
	if err != nil {
		t.Fatal(err)
	}
	img, ok, err := capability.Next(dir, now)
	if err != nil || !ok {
		t.Fatalf("next start: %+v, %t, %v", img, ok, err)
	}
	if out, err := e.Output(t.Context(), nil, "image", "inspect", "--format", "{{json .Config.Env}}", img.Image); err != nil || !strings.Contains(string(out), "TOOL=there") {
		t.Errorf("the image: %s, %v", out, err)
	}
	if out, err := verb(list, "-bottle", slug, "-decided"); err != nil || !strings.Contains(out, record.ID+"\tapproved\t") {
		t.Errorf("decided: %q, %v", out, err)
	}
	if out, err := verb(auditVerb, "-verify"); err != nil || !strings.HasPrefix(out, slug+"\t1\t") {
		t.Errorf("audit: %q, %v", out, err)
	}
}
