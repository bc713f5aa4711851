package scripts

import (
	"os/exec"
	"strings"
	"testing"

	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
)

// TestDockerFar is a bottle on an engine elsewhere, whose network and files are
// not this machine's.
func TestDockerFar(t *testing.T) {
	alongside(t)
	host := secondEngine(t)
	d := newDocksideOn(t, docker.At("", "", host), "")
	d.env = append(d.env, "DOCKER_HOST="+host)
	for _, network := range []string{"none", "bridge"} {
		r := d.sail("", "-network", network, d.name, "--", "sh", "-c", "curl -sS http://other.test/ | head -1; echo "+network+" >made; exit 6")
		if r.code != 6 || r.out != notAllowed("other.test")+"\n" {
			t.Errorf("%s: %v", network, r)
		}
		if got := d.brought("made"); got != network+"\n" {
			t.Errorf("brought back: %q", got)
		}
	}
	if out := d.must("bottlerun", "ls"); strings.Contains(out, d.name) {
		t.Errorf("ls: %s", out)
	}
}

// TestDockerPodman is the same with podman's command line, in the one network
// that it can keep shut.
func TestDockerPodman(t *testing.T) {
	alongside(t)
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip(err)
	}
	e := docker.At("podman", "", "")
	if _, err := e.Output(t.Context(), nil, "info", "--format", "json"); err != nil {
		t.Skip(err)
	}
	dockertest.Engine(t) // root, and no container: as for docker
	d := newDocksideOn(t, e, "")
	d.env = append(d.env, "BOTTLE_DOCKER=podman")
	r := d.sail("", d.name, "--", "sh", "-c", "curl -sS http://other.test/ | head -1; echo made >made; exit 6")
	if r.code != 6 || r.out != notAllowed("other.test")+"\n" {
		t.Errorf("%v", r)
	}
	if got := d.brought("made"); got != "made\n" {
		t.Errorf("brought back: %q", got)
	}
	d.want(1, "network bridge", "bottlerun", "run", "-backend", "docker", "-network", "bridge", "-f", d.manifest, d.name, "--", "sh")
}
