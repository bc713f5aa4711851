package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"bottle/pkg/bottle"
)

// javaSigns are the files by which a project of Java is known.
var javaSigns = []string{"pom.xml", "build.gradle", "build.gradle.kts"}

// findClients finds what of the project's languages needs more than variables to
// find its way out of the bottle.
func (f *found) findClients(dirs []string, nodes bool) {
	if hasAny(dirs, javaSigns) {
		f.clients = append(f.clients, bottle.ClientJava)
	}
	if nodes && !nodeAsks(f.nodeVersion()) {
		f.clients = append(f.clients, bottle.ClientNode)
	}
}

// nodeVersion is what this machine's node says of itself, "" where there is none.
// It is asked in /: a manager of versions takes the one that files of this folder
// name, which may be a program of the project's.
func (f *found) nodeVersion() string {
	path, err := lookPath("node", f.getenv)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	out, _ := cmd.Output()
	return string(out)
}

// nodeAsks reports whether a node of that version asks the proxy of the variables
// by itself; one that is not known is taken to.
func nodeAsks(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d", &major, &minor); err != nil {
		return true
	}
	return major > 24 || major == 24 && minor >= 5 || major == 22 && minor >= 21
}
