package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"bottle/pkg/escape"
)

// text collects the lines of a manifest.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// quoted is s as a scalar: JSON's strings are YAML's.
func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(data)
}

// comment is s as the rest of a comment's line. What is not plainly visible is
// escaped: people read the manifest, and YAML takes no control characters.
func comment(s string) string {
	return escape.Text(strings.ReplaceAll(s, "\n", " "), len(s)+1)
}

// manifest is the text of bottle.yaml.
func (f *found) manifest() []byte {
	t := &text{}
	t.line("# What this project's bottle is, and what it may reach. Written by bottlerun init;")
	t.line("# read it, change it, keep it with the project. Start: bottlerun run")
	t.line("name: %s", f.name)
	f.writeAgent(t)
	f.writeClients(t)
	f.writeEnv(t)
	f.writeEgress(t)
	f.writeRoutes(t)
	t.line("")
	t.line("# The second proxy, which scans what leaves: pipelock: {program: pipelock}")
	t.line("pipelock: off")
	t.line("")
	t.line("# Files such as .env are empty to the agent: protect: {mask: [private], show: [.env.test]}")
	f.from.writeMasks(t)
	t.line("# More: protect: {git_config: false}, limits: {memory: 4g, pids: 2048, idle: 30m, wall: 8h}")
	return []byte(t.String())
}

func (f *found) writeAgent(t *text) {
	a := f.agent
	switch a.name {
	case "claude", "codex", "gemini":
		t.line("agent: %s", a.name)
	}
	if a.path == "" {
		t.line("# No command: the image's own is taken, %s", comment(a.at))
	} else {
		t.line("command: [%s]", quoted(a.path))
	}
	t.line("workspace: .")
	f.writeBackend(t)
	if len(a.readOnly) > 0 {
		t.line("")
		t.line("# %s is not installed in the system's folders: this is shown, read-only.", a.name)
		t.line("read_only:")
		for _, p := range a.readOnly {
			t.line("  - %s", quoted(p))
		}
	}
}

// writeBackend: what runs with no word about it is the local one.
func (f *found) writeBackend(t *text) {
	t.line("")
	if f.image != "" {
		t.line("# Containers, on the engine that docker reaches. The image is used as it is, and is")
		t.line("# not fetched; or dockerfile: FILE, which is built first.")
		t.line("backend: docker")
		t.line("image: %s", quoted(f.image))
		return
	}
	t.line("# Containers instead, of an image with %s in it: 'bottlerun init -image NAME' writes", f.agent.name)
	t.line("# backend: docker and image: NAME, and no read_only, as it shows files of this machine.")
}

func (f *found) writeClients(t *text) {
	if len(f.clients) > 0 {
		t.line("")
		t.line("# What needs more than variables to ask the proxy: bottlerun doctor tells.")
		t.line("clients: [%s]", strings.Join(f.clients, ", "))
	}
}

func (f *found) writeEnv(t *text) {
	instead := f.instead()
	vars := slices.Concat(f.agentEnv(), f.mirrors, instead)
	if len(vars) == 0 {
		return
	}
	t.line("")
	t.line("# The agent's variables. A credential is never among them: it sees a placeholder.")
	if f.mirrors != nil {
		t.line("# Mirrors that you have configured, as your home is not shown.")
	}
	if instead != nil {
		t.line("# A remote of ssh is asked over https: ssh has no way out, and its keys stay out.")
	}
	t.line("env:")
	for _, v := range vars {
		t.line("  %s: %s", v.Name, quoted(v.Value))
	}
}

func (f *found) writeEgress(t *text) {
	t.line("")
	t.line("egress:")
	if len(f.profiles) > 0 {
		t.line("  # Reading packages and nothing else; 'routesctl profile NAME' shows hosts and paths.")
		for _, p := range f.profiles {
			t.line("  #   %s: %s", p, comment(f.notes[p]))
		}
		t.line("  profiles: [%s]", strings.Join(f.profiles, ", "))
	}
	for _, l := range append(f.left, f.from.unlike()...) {
		t.line("  # left out: %s", comment(l))
	}
	t.line("  # Hosts that pass as they are: every path, every method.")
	f.from.writeAllowlist(t)
}

func (f *found) writeRoutes(t *text) {
	var routes text
	f.from.writeRoutes(&routes)
	f.writeAPI(&routes)
	f.writeGit(&routes)
	if routes.Len() == 0 {
		return
	}
	t.line("")
	t.line("# Routes with a credential: token_ref names a variable of yours, whose value only the")
	t.line("# proxy gets.")
	t.line("egress_proxy:")
	t.line("  routes:")
	t.WriteString(routes.String())
}
