package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/sandbox"
)

// What of the workspace is empty to the agent is the sandbox package's to decide;
// here it is told, since an agent that finds an empty .env asks why.

// noteMasks says what the agent does not see, and what it sees all the same.
func noteMasks(env *cli.Env, work *sandbox.Workspace) {
	if masked := work.Masked(); len(masked) > 0 {
		note(env, "empty to the agent: %s", some(masked))
	}
	if tracked := work.Tracked(); len(tracked) > 0 {
		note(env, "git has %s, so the agent sees it\nhint: in the manifest, protect: {mask: [PATH]} hides it, protect: {show: [PATH]} ends this note", some(tracked))
	}
	for _, p := range work.Idle() {
		note(env, "protect.mask: there is no %s in the workspace", escape.Text(p, 0))
	}
}

// printMasks writes them for -n.
func (p *plan) printMasks(line func(string, ...string), work *sandbox.Workspace) {
	for _, rel := range work.Masked() {
		line("masked", escape.Text(filepath.Join(p.work, rel), 0))
	}
}

// some names the first of a list. Names in a workspace are an agent's.
func some(rels []string) string {
	const most = 5
	var names []string
	for i, rel := range rels {
		if i == most {
			return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), len(rels)-most)
		}
		names = append(names, escape.Text(rel, 0))
	}
	return strings.Join(names, ", ")
}
