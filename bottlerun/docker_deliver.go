package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"bottle/pkg/bottle"
	"bottle/pkg/ca"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/sandbox"
)

// Files get into volumes by docker cp of a tar stream, whose headers say owner and
// mode. So no credential is on this machine's disk, in an argument, an environment
// or an image.

// partFile and partDir are entries of the parts' user.
func partFile(name string, mode fs.FileMode, data []byte) docker.Entry {
	return docker.Entry{Name: name, Mode: mode, UID: partUser, GID: partUser, Data: data}
}

func partDir(name string) docker.Entry { return partFile(name, fs.ModeDir|0o700, nil) }

// relative is a path of the bottle's folder as an entry of it.
func relative(path string) string { return strings.TrimPrefix(path, string(inside)+"/") }

// makeAuthority makes the authority of this run, and what is trusted.
func (d *dock) makeAuthority() (err error) {
	if d.ca, d.key, err = ca.New("bottle "+d.name, time.Now()); err != nil {
		return err
	}
	d.pem, err = ca.Bundle(d.ca)
	return err
}

// trust is what egress-proxy trusts: all of it, as its image has no roots.
func (d *dock) trust() error {
	extra, err := d.plan.upstreamCA(d.lockCA)
	if err != nil {
		return err
	}
	if len(extra) == 0 {
		d.roots, err = ca.Bundle()
		return err
	}
	d.roots, err = ca.Bundle(extra)
	return err
}

// deliverProxy gives egress-proxy its table, authority and credentials.
func (d *dock) deliverProxy() error {
	entries := []docker.Entry{
		partDir(relative(inside.Proxy())), partDir(relative(inside.Tokens())),
		partFile(relative(inside.Routes()), 0o644, d.table.Encode()),
		partFile(relative(inside.CACert()), 0o644, d.ca),
		partFile(relative(inside.CAKey()), 0o600, d.key),
		partFile(relative(upstreamCA), 0o644, d.roots),
	}
	for _, slot := range slices.Sorted(maps.Keys(d.tokens)) {
		entries = append(entries, partFile(relative(inside.Tokens())+"/"+slot, 0o400, []byte(d.tokens[slot])))
	}
	return d.engine.CopyIn(d.ctx, d.object(roleProxy), string(inside), entries...)
}

// deliverSuper gives superviser its queue, and the agent what is in /run/bottle.
func (d *dock) deliverSuper() error {
	queue := relative(inside.Queue())
	entries := []docker.Entry{partDir(queue), partDir(queue + "/pending"), partDir(queue + "/decided")}
	if d.manifest.Dockerfile != "" {
		entries = append(entries, partFile(dockerfileName, 0o444, d.dockerfile))
	}
	files := []docker.Entry{partFile("ca.pem", 0o644, d.ca), partFile("bundle.pem", 0o644, d.pem), partFile("mcp.json", 0o644, []byte(mcpConfig))}
	more, err := bottle.Files(d.manifest, d.pem)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		files = append(files, partFile(name, 0o644, more[name]))
	}
	if d.engine.Podman() { // which fills a volume from the image at the start, and only while it is empty
		programs, err := agentProgramFiles()
		if err != nil {
			return err
		}
		files = append(files, programs...)
	}
	return d.together(
		func() error {
			return d.engine.CopyIn(d.ctx, d.object(roleSuper), string(inside), entries...)
		},
		func() error {
			return d.engine.CopyIn(d.ctx, d.object(roleSuper), sandbox.RunDir, files...)
		})
}

// agentProgramFiles are the programs that the agent's container has on its volume.
func agentProgramFiles() ([]docker.Entry, error) {
	entries := []docker.Entry{{Name: "bin", Mode: fs.ModeDir | 0o755}}
	for _, name := range agentPrograms {
		data, err := os.ReadFile(cli.Sibling(name))
		if err != nil {
			return nil, err
		}
		entries = append(entries, docker.Entry{Name: "bin/" + name, Mode: 0o755, Data: data})
	}
	return entries, nil
}

// trustStores are where images keep their roots.
var trustStores = []string{
	"etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Alpine
	"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
}

// deliverAgent puts the bundle over the image's own, gives the agent a name, and a
// home with what it would ask its user first. The container's root is its own and
// goes with it.
func (d *dock) deliverAgent(passwd []byte) error {
	var entries []docker.Entry
	for _, name := range trustStores {
		entries = append(entries, docker.Entry{Name: name, Mode: 0o644, Data: d.pem})
	}
	if passwd != nil && !d.user.named {
		entries = append(entries, docker.Entry{Name: "etc/passwd", Mode: 0o644, Data: withUser(passwd, d.user)})
	}
	if d.user.home != "" {
		home, err := d.home()
		if err != nil {
			return err
		}
		entries = append(entries, home...)
	}
	if d.manifest.Dockerfile != "" {
		entries = append(entries, d.currentConfig()...)
	}
	return d.engine.CopyIn(d.ctx, d.object(roleAgent), "/", entries...)
}

// currentConfig shows the agent what its image was built from, to propose another
// by. What it does to its copy matters to nobody: superviser has its own.
func (d *dock) currentConfig() []docker.Entry {
	const dir = "etc/bottle"
	return []docker.Entry{
		{Name: dir, Mode: fs.ModeDir | 0o755}, {Name: dir + "/current-config", Mode: fs.ModeDir | 0o755},
		{Name: dir + "/current-config/" + dockerfileName, Mode: 0o644, Data: d.dockerfile},
	}
}

// home is a home of ours, or what goes into the image's own.
func (d *dock) home() ([]docker.Entry, error) {
	home := strings.TrimPrefix(d.user.home, "/")
	dirs := map[string]bool{home: true}
	var entries []docker.Entry
	ours := d.user.home == sandbox.Home
	if !ours { // and keeps its mode
		_, err := d.engine.Kind(d.ctx, d.object(roleAgent), d.user.home)
		if ours = errors.Is(err, fs.ErrNotExist); err != nil && !ours {
			return nil, fmt.Errorf("the image's home %q: %w", d.user.home, err)
		}
	}
	if ours {
		entries = append(entries, d.agentEntry(home, fs.ModeDir|0o700, nil))
	}
	files := bottle.Home(d.manifest, bottle.Inside{Workspace: d.workDir(), Superviser: superviser})
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, dir := range parents(name) {
			if dir = path.Join(home, dir); !dirs[dir] {
				dirs[dir] = true
				entries = append(entries, d.agentEntry(dir, fs.ModeDir|0o700, nil))
			}
		}
		entries = append(entries, d.agentEntry(path.Join(home, name), 0o600, files[name]))
	}
	return entries, nil
}

func (d *dock) agentEntry(name string, mode fs.FileMode, data []byte) docker.Entry {
	return docker.Entry{Name: name, Mode: mode, UID: d.user.uid, GID: d.user.gid, Data: data}
}

// parents are the folders above name, the outermost first.
func parents(name string) (list []string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		list = append(list, dir)
	}
	slices.Reverse(list)
	return list
}
