package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bottle/pkg/docker"
)

// dockers times the docker backend where there is an engine; else it says why not.
func (o *options) dockers(ctx context.Context, w io.Writer) (left string, err error) {
	e := docker.Open(os.Getenv, "")
	probe, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if o.docker == 0 {
		return "", nil
	}
	if _, err := e.Output(probe, nil, "version"); err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		return "Without docker: " + why + ". ", nil
	}
	for i, bin := range o.bins {
		if err := o.dockersOf(ctx, w, e, bin, o.of(i)); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (o *options) dockersOf(ctx context.Context, w io.Writer, e *docker.Engine, bin, of string) error {
	image := fmt.Sprintf("benchbottle-%d:1", os.Getpid())
	layer, err := agentLayer(bin)
	if err != nil {
		return err
	}
	if _, err := e.Output(ctx, layer, "import", "-", image); err != nil {
		return err
	}
	defer e.Output(context.WithoutCancel(ctx), nil, "rmi", "-f", image)
	manifest := filepath.Join(o.home, "docker.yaml")
	if err := os.WriteFile(manifest, []byte("image: "+image+"\n"), 0o600); err != nil {
		return err
	}
	var up, whole []time.Duration
	for i := range o.docker + 1 {
		start := time.Now()
		cmd := o.command(ctx, bin, "run", "-backend", "docker", "-f", manifest, "-dir", o.dir, fmt.Sprintf("benchbottle-%d", os.Getpid()), "--", "/agent", "-version")
		s, err := sit(cmd)
		if err == nil {
			err = s.end()
		}
		if err != nil {
			return err
		}
		if i > 0 { // the first one makes the image of the parts
			up, whole = append(up, s.up), append(whole, time.Since(start))
		}
	}
	row(w, "docker, until the agent runs"+of, "ms", up)
	row(w, "docker, to the end"+of, "ms", whole)
	return nil
}

// agentLayer is an image with one static program that says something and ends.
func agentLayer(bin string) (io.Reader, error) {
	data, err := os.ReadFile(filepath.Join(bin, "bottlerun"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777},
		{Typeflag: tar.TypeReg, Name: "agent", Mode: 0o755, Size: int64(len(data))},
	} {
		if err := t.WriteHeader(&h); err != nil {
			return nil, err
		}
	}
	if _, err := t.Write(data); err != nil {
		return nil, err
	}
	return &b, t.Close()
}
