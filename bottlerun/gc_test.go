package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/state"
)

// TestStarting: a run of another machine may be starting until a part of it has
// run, or it has made nothing for longer than a start takes.
func TestStarting(t *testing.T) {
	now := time.Now()
	made, ran := docker.Container{State: "created"}, docker.Container{State: "exited", Started: now.Add(-time.Minute)}
	for what, c := range map[string]struct {
		newest     time.Time
		containers []docker.Container
		starting   bool
	}{
		"its volumes":              {now.Add(-time.Second), nil, true},
		"its containers":           {now.Add(-time.Minute), []docker.Container{made, made}, true},
		"a workspace on its way":   {now.Add(-copyTimeout), []docker.Container{made}, true},
		"made by a faster clock":   {now.Add(time.Minute), []docker.Container{made}, true},
		"a part that has ended":    {now.Add(-time.Minute), []docker.Container{made, ran}, false},
		"longer than a start":      {now.Add(-settled), []docker.Container{made}, false},
		"volumes and nothing else": {now.Add(-24 * time.Hour), nil, false},
	} {
		why := (&remains{newest: c.newest, containers: c.containers}).starting(now)
		if (why != "") != c.starting || c.starting && !strings.Contains(why, "gc' takes it in ") {
			t.Errorf("%s: %q; wanted starting %v", what, why, c.starting)
		}
	}
}

// TestDoctorsLeft: a doctor whose bottle is being made is alive, however long its
// image takes to build.
func TestDoctorsLeft(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder, err := os.MkdirTemp("", doctorPrefix)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.At(filepath.Join(folder, doctorState), "web-doctor-1")
	if err == nil {
		err = dir.Make()
	}
	if err != nil {
		t.Fatal(err)
	}
	release, err := dir.Hold()
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(folder, long, long); err != nil {
		t.Fatal(err)
	}
	if list, err := doctorsLeft(); list != nil || err != nil {
		t.Errorf("%q, %v: one that runs", list, err)
	}
	release()
	if list, err := doctorsLeft(); !slices.Equal(list, []string{folder}) || err != nil {
		t.Errorf("%q, %v; wanted what a killed one left", list, err)
	}
}
