package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/sandbox"
)

// The image of the bottle's own parts holds our static programs and nothing else,
// and the folders that volumes are mounted on: an engine gives an empty volume the
// owner, the mode and the files of the folder it is mounted on first.

// partsRepository is the name of all images of parts; a tag tells the version.
const partsRepository = "bottle-parts"

// partPrograms are in the image's /bin.
var partPrograms = []string{"bottlerun", "egress-proxy", "superviser", "routesctl", "pipemirror"}

// agentPrograms are on the volume that the agent sees.
var agentPrograms = []string{"bottlerun", "superviser"}

// imageTimeout is how long an engine may take to take in an image.
const imageTimeout = 5 * time.Minute

// buildTimeout is how long a Dockerfile may take.
const buildTimeout = time.Hour

// programs reads our programs, the siblings of this one, and what they hash to.
func programs() (data [][]byte, hash string, err error) {
	sum := sha256.New()
	for _, name := range partPrograms {
		path := cli.Sibling(name)
		if path == name {
			return nil, "", fmt.Errorf("program %s: not beside bottlerun; wanted all of one build there, for the image of the bottle's parts", name)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(b))
		sum.Write(b)
		data = append(data, b)
	}
	return data, hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// partsImage is the image of the parts, which is made on the engine when it is not
// there: nothing is fetched from anywhere.
func partsImage(ctx context.Context, e *docker.Engine) (string, error) {
	data, hash, err := programs()
	if err != nil {
		return "", err
	}
	image := partsRepository + ":" + hash
	if _, err := e.Output(ctx, nil, "image", "inspect", "--format", "{{json .}}", image); err == nil {
		return image, nil
	} else if said := (*docker.Error)(nil); !errors.As(err, &said) {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, imageTimeout)
	defer cancel()
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeImage(w, data)) }()
	defer r.Close()
	args := []string{"import", "--change", "USER " + partUserText}
	if e.Podman() {
		args = append(args, "--quiet") // docker's says nothing, and has no such flag
	}
	_, err = e.Output(ctx, r, append(args, "-", image)...)
	return image, err
}

var partUserText = fmt.Sprintf("%d:%d", partUser, partUser)

// writeImage writes the root file system as a tar stream.
func writeImage(out io.Writer, data [][]byte) error {
	w := tar.NewWriter(out)
	err := errors.Join(
		imageDir(w, "bin", 0, 0o755), imageDir(w, "tmp", 0, 0o1777), imageDir(w, "run", 0, 0o755), imageDir(w, "dev", 0, 0o755),
		imageDir(w, inside.Name(), partUser, 0o700), imageDir(w, lendDir[1:], partUser, 0o700),
		imageDir(w, sandbox.RunDir[1:], partUser, 0o755), imageDir(w, sandbox.BinDir[1:], 0, 0o755))
	for i, name := range partPrograms {
		err = errors.Join(err, imageFile(w, "bin/"+name, data[i]))
	}
	for _, name := range agentPrograms {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: filepath.Join(sandbox.BinDir[1:], name), Linkname: "bin/" + name, Mode: 0o755}))
	}
	return errors.Join(err, w.Close())
}

func imageDir(w *tar.Writer, name string, owner int, mode int64) error {
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: owner, Gid: owner})
}

func imageFile(w *tar.Writer, name string, data []byte) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := io.Copy(w, bytes.NewReader(data))
	return err
}

// images makes the parts' image ahead of a run.
func images(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	where := fs.String("context", "", "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	image, err := partsImage(ctx, docker.Open(env.Getenv, *where))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.Stdout, image)
	return err
}
