package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
)

// TestStateOfContainers: what is being started is not stale, and has no time yet.
func TestStateOfContainers(t *testing.T) {
	here := runLabels("web", "web-1")
	dead := maps.Clone(here)
	dead[labelStart] = "1" // another process of that number
	made, ended := docker.Container{State: "created", Labels: here}, docker.Container{State: "exited", Labels: here, Started: time.Now()}
	left, runs := docker.Container{State: "created", Labels: dead}, docker.Container{State: "running", Labels: here, Started: time.Now()}
	for want, c := range map[string]docker.Container{"starting\tdocker": made, "stale\tdocker": ended, "stale\tdocker ": left, "running\tdocker": runs} {
		b := &bottles.Bottle{Name: "web", Backend: backendDocker, Engine: docker.At("docker", "", ""), Containers: map[string]docker.Container{roleProxy: c}}
		var out bytes.Buffer
		if err := printRow(&cli.Env{Stdout: &out}, rowOf(t.Context(), b), false); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.HasPrefix(got, "web\t"+strings.TrimSpace(want)+"\t") || !strings.Contains(got, "\t-\t") {
			t.Errorf("got %q, wanted %q and no time", got, want)
		}
	}
}
