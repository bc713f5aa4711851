package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"bottle/pkg/atomicfile"
	"bottle/pkg/carry"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/sandbox"
)

// The workspace is on a volume: the engine may be on another machine. It is copied
// in before the agent starts and what changed is brought back when it has ended.
// With bind the agent has the folder itself.

const (
	// copyTimeout is how long a workspace may take, one way.
	copyTimeout = 30 * time.Minute
	// maxBack bounds what is brought back: an agent can make a file of any size
	// that takes no room on its volume.
	maxBack = 32 << 30
)

// maxHeldLines bounds what is said of it: a repository that an agent made is
// hundreds of files.
const maxHeldLines = 20

// emptyDir has what is bound over what is masked, below the bottle's folder.
const emptyDir = "empty"

// heldDir is where what was held back is kept, below the bottle's folder.
const heldDir = "held"

// openWorkspace checks the workspace as the local backend does. Only one that is
// bound gets placeholders.
func (d *dock) openWorkspace() error {
	if err := d.checkWorkspace(!d.bind); err != nil {
		return err
	}
	noteMasks(d.env, d.space)
	if !d.bind {
		return nil
	}
	for _, rel := range slices.Concat(d.space.Covered(), d.space.Masked()) {
		if !utf8.ValidString(rel) {
			return cli.Refusedf("workspace %s: the name of %q is not Unicode, and the engine would mount over another; wanted a copy of the workspace (without -bind), or other names", d.space.Path, rel)
		}
	}
	if len(d.space.Masked()) == 0 {
		return nil
	}
	return d.makeEmpty()
}

// makeEmpty makes what is bound over masked files and folders.
func (d *dock) makeEmpty() error {
	if err := os.MkdirAll(d.emptyFor(fs.ModeDir), 0o755); err != nil {
		return err
	}
	return atomicfile.Swap(d.emptyFor(0), nil, 0o444)
}

// emptyFor is the path of the empty folder, or file.
func (d *dock) emptyFor(mode fs.FileMode) string {
	if mode.IsDir() {
		return d.dir.In(emptyDir, "folder")
	}
	return d.dir.In(emptyDir, "file")
}

// openWorkspaceDry is openWorkspace for a plan.
func (d *dock) openWorkspaceDry() error { return d.checkWorkspace(true) }

func (d *dock) checkWorkspace(dry bool) error {
	pol := d.policy
	pol.Dry = dry
	space, err := sandbox.OpenWorkspace(d.plan.work, pol)
	if err != nil {
		return cli.Refused(err)
	}
	d.space = space
	fi, err := os.Stat(space.Path)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("workspace %s: its owner is not known", space.Path)
	}
	d.owner = agentUser{uid: int(st.Uid), gid: int(st.Gid)}
	notePath(d.env, space.Path, d.getenv("PATH"))
	if !d.bind {
		return nil
	}
	d.swaps = space.Swaps()
	for _, n := range space.Notes() {
		note(d.env, "%s", n)
	}
	if d.owner.uid == 0 {
		return cli.Refusedf("workspace %s is root's, and the agent is never root; wanted it owned by a user, or a copy of it (without -bind)", space.Path)
	}
	return nil
}

// workMounts are the workspace as flags of docker create. A folder between the
// workspace and a protected path is bound as well: a mount point cannot be moved
// away with what is protected in it.
func (d *dock) workMounts() []string {
	if !d.bind {
		return []string{"--volume", d.volume(volWork, workRoot, "nocopy")}
	}
	over := map[string]string{".": d.bindFlag(".", false)}
	pin := func(rel string) {
		for dir := filepath.Dir(rel); dir != "."; dir = filepath.Dir(dir) {
			if over[dir] == "" {
				over[dir] = d.bindFlag(dir, false)
			}
		}
	}
	for _, rel := range d.space.Covered() {
		over[rel] = d.bindFlag(rel, true)
	}
	for _, rel := range d.space.Masked() {
		over[rel] = d.maskFlag(rel)
	}
	for _, rel := range slices.Concat(d.space.Covered(), d.space.Masked()) {
		pin(rel)
	}
	var flags []string
	for _, rel := range slices.Sorted(maps.Keys(over)) {
		flags = append(flags, "--mount", over[rel])
	}
	return flags
}

// bindFlag is one mount of the workspace's.
func (d *dock) bindFlag(rel string, readOnly bool) string {
	return d.mountFlag(filepath.Join(d.space.Path, rel), rel, readOnly)
}

// maskFlag is the mount of something empty.
func (d *dock) maskFlag(rel string) string {
	var mode fs.FileMode
	if fi, err := os.Lstat(filepath.Join(d.space.Path, rel)); err == nil {
		mode = fi.Mode()
	}
	return d.mountFlag(d.emptyFor(mode), rel, true)
}

// mountFlag is one mount; its fields are CSV.
func (d *dock) mountFlag(from, rel string, readOnly bool) string {
	quote := func(s string) string {
		if strings.ContainsAny(s, `,"`) {
			return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		return s
	}
	m := "type=bind," + quote("source="+from) + "," + quote("target="+filepath.Join(d.workDir(), rel))
	if readOnly {
		m += ",readonly"
	}
	return m
}

// sendWork copies the workspace in.
func (d *dock) sendWork() error {
	if d.bind {
		return nil
	}
	if err := d.lookAgain(); err != nil {
		return err
	}
	folder, err := carry.OpenFolder(d.space.Path)
	if err != nil {
		return err
	}
	defer folder.Close()
	ctx, cancel := context.WithTimeout(d.ctx, copyTimeout)
	defer cancel()
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		var err error
		d.sent, err = folder.Pack(w, d.name, d.user.uid, d.user.gid, d.space.Masked()...)
		w.CloseWithError(err)
		packed <- err
	}()
	_, err = d.engine.Output(ctx, r, "cp", "-", d.object(roleAgent)+":"+workRoot)
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	if bad := <-packed; bad != nil && !errors.Is(bad, io.ErrClosedPipe) {
		return cli.Refused(fmt.Errorf("workspace %s: %w", d.space.Path, bad))
	}
	if err == nil && d.sent.Bytes() >= tellBytes {
		note(d.env, "the workspace was copied: %d files, %s", d.sent.Files(), size(d.sent.Bytes()))
	}
	return err
}

// lookAgain: since the workspace was looked at an image may have been built, which
// takes minutes, and a file of credentials saved meanwhile.
func (d *dock) lookAgain() error {
	if d.manifest.Dockerfile == "" {
		return nil
	}
	pol := d.policy
	pol.Dry = true
	space, err := sandbox.OpenWorkspace(d.plan.work, pol)
	if err != nil {
		return cli.Refused(err)
	}
	if !slices.Equal(space.Masked(), d.space.Masked()) {
		noteMasks(d.env, space)
	}
	d.space.Close()
	d.space = space
	return nil
}

// tellBytes is from what size on a copy is worth a word.
const tellBytes = 64 << 20

func size(n int64) string {
	const unit = 1 << 10
	switch {
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/unit/unit/unit)
}

// bringBack applies to the host's folder what the agent changed. When it cannot,
// the volume stays.
func (d *dock) bringBack() error {
	if d.bind {
		return nil
	}
	report, err := d.applyBack()
	if err != nil {
		d.keep = true
		return fmt.Errorf("the workspace was not brought back whole: %w\nhint: what the agent left is on volume %s; 'bottlerun gc' keeps it as a file", err, d.object(volWork))
	}
	for i, h := range report.Held {
		if i == maxHeldLines {
			note(d.env, "held back: %d more; what has bytes is in %s", len(report.Held)-i, d.dir.In(heldDir, d.id))
			break
		}
		line := fmt.Sprintf("held back: %s (%s): %s", escape.Text(h.Path, 0), escape.Text(h.What, 0), h.Why)
		if h.Kept != "" {
			line += "; it is in " + escape.Text(h.Kept, 0)
		}
		note(d.env, "%s", line)
	}
	return nil
}

func (d *dock) applyBack() (*carry.Report, error) {
	stage, err := os.MkdirTemp(string(d.dir), "back-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	ret, err := d.receiveWork(stage)
	if err != nil {
		return nil, err
	}
	for _, l := range ret.Left {
		note(d.env, "left behind: %s, a pipe, a socket or a device", escape.Text(l, 0))
	}
	folder, err := carry.OpenFolder(d.space.Path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.Apply(ret, d.sent, d.protectedBack(ret), d.dir.In(heldDir, d.id))
}

func (d *dock) receiveWork(stage string) (*carry.Return, error) {
	ctx, cancel := context.WithTimeout(context.Background(), copyTimeout)
	defer cancel()
	var notes bytes.Buffer
	cmd := d.engine.Command(ctx, "cp", d.object(roleAgent)+":"+d.workDir(), "-")
	cmd.Stderr, cmd.SysProcAttr = &notes, tied(false)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ret, err := carry.Unpack(out, d.name, d.sent, stage, maxBack)
	if err != nil {
		cancel()
	}
	io.Copy(io.Discard, io.LimitReader(out, 1<<20)) // the end of the archive is not the stream's
	if ended := cmd.Wait(); err == nil && ended != nil {
		return nil, fmt.Errorf("docker cp: %w %s", ended, escape.Text(strings.TrimSpace(notes.String()), 0))
	}
	return ret, err
}

// protectedBack is what is held back: what is read-only in the local backend or
// would be, what is empty there, and what makes the folder itself a repository.
func (d *dock) protectedBack(ret *carry.Return) []string {
	list := slices.Concat(d.space.Covered(), d.space.Missing(), d.space.Masked())
	if ret.Has("HEAD") {
		list = append(list, sandbox.BareRepository()...)
	}
	return list
}
