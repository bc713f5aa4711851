package main

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"bottle/pkg/bottle"
	"bottle/pkg/ca"
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
	if err := d.engine.CopyIn(d.ctx, d.object(roleSuper), string(inside), partDir(queue), partDir(queue+"/pending"), partDir(queue+"/decided")); err != nil {
		return err
	}
	return d.engine.CopyIn(d.ctx, d.object(roleSuper), sandbox.RunDir,
		partFile("ca.pem", 0o644, d.ca), partFile("bundle.pem", 0o644, d.pem), partFile("mcp.json", 0o644, []byte(mcpConfig)))
}

// trustStores are where images keep their roots: folder and file.
var trustStores = [][2]string{
	{"/etc/ssl/certs", "ca-certificates.crt"},                // Debian, Ubuntu, Alpine
	{"/etc/pki/ca-trust/extracted/pem", "tls-ca-bundle.pem"}, // Fedora, RHEL
}

// deliverAgent puts the bundle over the image's own, and gives the agent a name.
// The container's root is its own, and goes with it.
func (d *dock) deliverAgent(passwd []byte) error {
	var steps []func() error
	for _, s := range trustStores {
		steps = append(steps, func() error {
			err := d.engine.CopyIn(d.ctx, d.object(roleAgent), s[0], docker.Entry{Name: s[1], Mode: 0o644, Data: d.pem})
			if errors.Is(err, fs.ErrNotExist) {
				return nil // an image without that store
			}
			return err
		})
	}
	if passwd != nil && !d.user.named {
		steps = append(steps, func() error {
			return d.engine.CopyIn(d.ctx, d.object(roleAgent), "/etc", docker.Entry{Name: "passwd", Mode: 0o644, Data: withUser(passwd, d.user)})
		})
	}
	if d.user.home == sandbox.Home {
		steps = append(steps, d.deliverHome)
	}
	return d.together(steps...)
}

// deliverHome makes the agent's own home, with what it would ask its user first.
func (d *dock) deliverHome() error {
	home := strings.TrimPrefix(sandbox.Home, "/")
	dirs := map[string]bool{home: true}
	entries := []docker.Entry{d.agentEntry(home, fs.ModeDir|0o700, nil)}
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
	return d.engine.CopyIn(d.ctx, d.object(roleAgent), "/", entries...)
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
