package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/profile"
)

// initVerb writes a manifest for the project it stands in.
func initVerb(ctx context.Context, env *cli.Env) error {
	fset := env.Flags()
	dir := fset.String("dir", ".", "")
	from := fset.String("from", "", "")
	image := fset.String("image", "", "")
	if err := env.Parse(fset, 0, 0); err != nil {
		return err
	}
	p := &plan{getenv: env.Getenv, manifest: &bottle.Manifest{}}
	if err := p.findWorkspace(options{dir: *dir}); err != nil {
		return err
	}
	if err := p.setPolicy(options{}); err != nil {
		return err
	}
	err := refuseWorkspace(p)
	if err != nil {
		return err
	}
	f := find(p.work, env.Getenv)
	if *image != "" {
		err = f.findInImage(ctx, env, *image)
	} else {
		f.agent, err = findAgent(env.Getenv)
	}
	if err != nil {
		return err
	}
	f.findAPIs()
	if *from != "" {
		if f.from, err = borrow(*from); err != nil {
			return err
		}
	}
	text := f.manifest()
	if _, err := bottle.Parse(manifestName, text); err != nil {
		err = fmt.Errorf("the manifest would not be valid, and is not written: %w", err)
		if f.from != nil { // what others wrote may be wrong
			err = cli.Refused(err)
		}
		return err
	}
	if err := writeNew(filepath.Join(p.work, manifestName), text); err != nil {
		return err
	}
	return f.print(env)
}

// writeNew writes a file that is not there yet, whole or not at all.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return cli.Refusedf("%s is there already, and is left as it is\nhint: remove it first, or change it by hand", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// found is what init knows of a project and this machine.
type found struct {
	name     string
	image    string // of the docker backend; "" for the local one
	agent    *agentFound
	apis     []api
	profiles []string
	clients  []string          // those that need more than variables
	notes    map[string]string // profile -> what its tool's configuration says
	mirrors  []bottle.Var      // of those tools, as they are not told in the bottle
	left     []string          // what there is no place for, and why
	remotes  []*remote
	from     *borrowed // another tool's settings; nil without -from
	getenv   func(string) string
}

// find looks at the project.
func find(work string, getenv func(string) string) *found {
	f := &found{name: slugOf(filepath.Base(work)), notes: map[string]string{}, getenv: getenv}
	if f.name == "" {
		f.name = "bottle"
	}
	f.findProfiles(work)
	f.findHosts(work)
	f.findRemotes(work)
	return f
}

// signs are the files by which the languages of a project are known.
var signs = []struct {
	profile string
	files   []string
}{
	{"npm", []string{"package.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"}},
	{"pypi", []string{"pyproject.toml", "requirements.txt", "setup.py", "setup.cfg", "Pipfile", "uv.lock", "poetry.lock"}},
	{"go", []string{"go.mod", "go.work"}},
	{"crates", []string{"Cargo.toml"}},
	{"rubygems", []string{"Gemfile"}},
}

// findProfiles looks for the signs in the project and two folders down, where
// those of several languages have them.
func (f *found) findProfiles(work string) {
	dirs := below([]string{work}, work, 2)
	f.findClients(dirs, hasAny(dirs, signs[0].files))
	for _, s := range signs {
		if !hasAny(dirs, s.files) {
			continue
		}
		if err := f.addProfile(s.profile); err != nil {
			f.left = append(f.left, err.Error())
		}
	}
}

// maxDirs bounds how many folders are looked at.
const maxDirs = 2000

// below appends the folders of dir, and theirs, to the given depth. What tools fetch
// or hide is not the project's.
func below(dirs []string, dir string, depth int) []string {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || strings.HasPrefix(name, ".") || name == "node_modules" || name == "vendor" || len(dirs) == maxDirs {
			continue
		}
		sub := filepath.Join(dir, name)
		if dirs = append(dirs, sub); depth > 1 {
			dirs = below(dirs, sub, depth-1)
		}
	}
	return dirs
}

// hasAny reports whether one of the folders has one of the files.
func hasAny(dirs, files []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return slices.ContainsFunc(files, func(name string) bool {
			_, err := os.Lstat(filepath.Join(dir, name))
			return err == nil
		})
	})
}

func (f *found) addProfile(name string) error {
	routes, err := profile.Routes(name)
	if err != nil {
		return err
	}
	f.profiles = append(f.profiles, name)
	var hosts []string
	for _, r := range routes {
		hosts = append(hosts, r.Host+strings.Join(r.PathAllowlist, " "))
	}
	f.notes[name] = strings.Join(hosts, ", ")
	vars, secret, err := profile.Variables(name)
	if err != nil {
		return err
	}
	for _, v := range vars {
		f.mirrors = append(f.mirrors, bottle.Var(v))
	}
	for _, v := range secret {
		f.left = append(f.left, "profile "+name+": the address that "+v+" stands for has a password in it, which is not for a file; give its host a route with auth, and "+v+" in env without the password")
	}
	return nil
}

// print says what was found, one thing a line.
func (f *found) print(env *cli.Env) error {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s\t%s\n", key, escape.Text(value, 0)) }
	line("manifest", manifestName)
	line("name", f.name)
	if f.image != "" {
		line("image", f.image)
	}
	line("agent", f.agent.name+" "+cmp.Or(f.agent.at, f.agent.path))
	for _, p := range f.agent.readOnly {
		line("read-only", p)
	}
	for _, p := range f.profiles {
		line("profile", p+": "+f.notes[p])
	}
	for _, r := range f.remotes {
		line("git", r.host+r.path+r.how())
	}
	for _, c := range f.clients {
		line("client", c)
	}
	if _, err := env.Stdout.Write([]byte(b.String())); err != nil {
		return err
	}
	for _, l := range append(f.left, f.from.unlike()...) {
		note(env, "left out: %s", escape.Text(strings.ReplaceAll(l, "\n", "; "), 0))
	}
	f.sayMissing(env)
	return nil
}
