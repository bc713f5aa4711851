package main

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// agentFound is the agent on this machine.
type agentFound struct {
	name     string
	path     string   // what to start, as it is seen inside; "" is the image's command
	at       string   // where that is in the image
	readOnly []string // what of the operator's home it consists of
}

// agentNames are the agents that are looked for, the first that is there wins.
var agentNames = []string{"claude", "codex", "gemini", "opencode", "aider"}

// findAgent looks through PATH, and takes a shell when there is no agent.
func findAgent(getenv func(string) string) (*agentFound, error) {
	for _, name := range append(slices.Clone(agentNames), "bash", "sh") {
		if path, err := lookPath(name, getenv); err == nil {
			return shownAs(name, path, getenv)
		}
	}
	return &agentFound{name: "sh", path: "/bin/sh"}, nil
}

// systemTrees are shown in every bottle of the local backend.
var systemTrees = []string{"/usr", "/bin", "/sbin", "/opt", "/nix/store"}

func inSystem(path string) bool {
	return slices.ContainsFunc(systemTrees, func(d string) bool { return path == d || strings.HasPrefix(path, d+"/") })
}

// shownAs finds what has to be shown for the program to run inside: nothing for
// one of the system, else its package, and its interpreter's folder.
func shownAs(name, path string, getenv func(string) string) (*agentFound, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	a := &agentFound{name: name, path: real}
	if inSystem(real) {
		if inSystem(path) {
			a.path = name
		}
	} else {
		a.readOnly = append(a.readOnly, packageOf(real))
	}
	interp := interpreter(real)
	if interp == "" {
		return a, nil
	}
	prog, err := lookPath(interp, getenv)
	if err != nil {
		return a, nil // it would not start outside either
	}
	if prog, err = filepath.EvalSymlinks(prog); err != nil || inSystem(prog) {
		return a, err
	}
	// PREFIX/bin/node belongs to PREFIX/lib; its folder is in the operator's PATH.
	a.readOnly = append(a.readOnly, filepath.Dir(filepath.Dir(prog)))
	return a, nil
}

// packageOf is the npm package or the virtual environment that the program is
// part of, with what lies beside it in node_modules; else the file.
func packageOf(real string) string {
	for dir := filepath.Dir(real); dir != "/"; dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "node_modules" {
			return dir
		}
		if _, err := os.Stat(filepath.Join(dir, "pyvenv.cfg")); err == nil {
			return dir
		}
	}
	return real
}

// interpreter is the program of a "#!" line: its name, or its path.
func interpreter(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	first, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n')
	rest, ok := strings.CutPrefix(string(first), "#!")
	words := strings.Fields(rest)
	if !ok || len(words) == 0 {
		return ""
	}
	if filepath.Base(words[0]) != "env" {
		return words[0]
	}
	for _, w := range words[1:] {
		if !strings.HasPrefix(w, "-") {
			return w
		}
	}
	return ""
}
