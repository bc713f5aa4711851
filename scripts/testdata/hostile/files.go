package main

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pathSockets: who connects to a socket that the host listens on is outside.
func (h *hostile) pathSockets() {
	known := []string{"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/dbus/system_bus_socket",
		"/run/systemd/private", "/run/user/" + strconv.Itoa(os.Getuid()) + "/bus", "/nix/var/nix/daemon-socket/socket", "/tmp/.X11-unix/X0", bottleDir + "/init.sock"}
	for _, path := range append(known, h.Sockets...) {
		h.dial("connect "+path, "unix", path)
	}
	for _, name := range []string{"SSH_AUTH_SOCK", "DOCKER_HOST", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY", "GPG_AGENT_INFO"} {
		h.holds("the variable "+name, os.Getenv(name) == "", os.Getenv(name))
	}
	if len(h.Only) > 0 {
		return
	}
	h.each([]string{"/", "/opt", "/usr/local"}, func(path string, d fs.DirEntry) {
		if d.Type()&fs.ModeSocket != 0 && path != superSock {
			h.dial("connect the found "+path, "unix", path)
		}
	})
}

// each walks what can be read of the folders, but for kernels' file systems and
// the system's programs.
func (h *hostile) each(roots []string, visit func(path string, d fs.DirEntry)) {
	skip := map[string]bool{"/proc": true, "/sys": true, "/usr": true, "/opt": true, "/nix/store": true}
	for _, root := range roots {
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if d.IsDir() && skip[path] && path != root {
				return fs.SkipDir
			}
			visit(path, d)
			return nil
		})
	}
}

// hostFiles: what is the host's cannot be written, and most of it not be seen.
func (h *hostile) hostFiles() {
	for _, f := range append(h.Files, "/etc/shadow", "/root/.ssh/id_rsa", "/.host", "/etc/sudoers") {
		data, err := os.ReadFile(f)
		if err == nil && len(data) == 0 {
			err = unix.ENODATA // covered
		}
		h.refused("read "+f, err)
	}
	for _, f := range h.Files {
		h.refused("write "+f, os.WriteFile(f, []byte("x"), 0o644), unix.ENOENT, unix.EACCES, unix.EROFS, unix.ENOTDIR)
		h.refused("link "+f, os.Link(f, "linked"), unix.ENOENT, unix.EACCES, unix.EXDEV, unix.EPERM, unix.ENOTDIR)
		os.Remove("linked")
	}
	if len(h.Only) > 0 {
		return
	}
	for _, dir := range []string{"/", "/usr", "/usr/bin", "/etc", "/opt", bottleDir, bottleDir + "/bin", "/proc", "/home", "/var", "/sys"} {
		h.refused("write in "+dir, os.WriteFile(filepath.Join(dir, "planted"), nil, 0o644))
	}
	h.refused("truncate /etc/passwd", os.Truncate("/etc/passwd", 0))
	h.refused("move our own folder away", os.Rename(bottleDir, filepath.Dir(bottleDir)+"/old"))
	h.refused("remove it", os.RemoveAll(bottleDir))
	for _, f := range []string{"bin/superviser", "ca.pem", "bundle.pem", "mcp.json"} {
		h.refused("replace "+f, os.Rename("hostile", filepath.Join(bottleDir, f)))
		h.refused("write "+f, os.WriteFile(filepath.Join(bottleDir, f), nil, 0o644))
	}
	_, err := os.ReadFile(bottleDir + "/ca-key.pem")
	h.refused("the authority's key", err)
	if h.Local {
		homes, err := os.ReadDir("/home")
		h.holds("homes of others", err == nil && len(homes) == 1, homes)
	}
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm", os.Getenv("HOME")} {
		f := filepath.Join(dir, "mine")
		err := os.WriteFile(f, []byte("#!/bin/sh\n"), 0o755)
		h.holds("nothing of its own in "+dir, err == nil || !h.Local, err)
		os.Remove(f)
	}
}

// workspace: what the host runs later must not be the agent's, in whatever way it
// could get there.
func (h *hostile) workspace() {
	if h.Copied {
		h.plantAll()
		return
	}
	for _, p := range h.Protected {
		h.plant(p)
	}
	for _, dir := range parents(h.Protected) {
		h.refused("move away "+dir, os.Rename(dir, "away"), unix.EBUSY, unix.EROFS, unix.EXDEV)
		h.refused("remove "+dir, os.Remove(dir), unix.EBUSY, unix.EROFS, unix.ENOTEMPTY)
		h.refused("exchange "+dir, exchange(dir), unix.EBUSY, unix.EROFS, unix.EXDEV)
	}
	if here, err := os.Getwd(); err == nil && len(h.Only) == 0 {
		h.refused("move the workspace", os.Rename(here, here+"2"))
		h.refused("remove it", os.Remove(here))
		l, err := net.Listen("unix", filepath.Join(here, "sock"))
		if err == nil {
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			l.Close()
		}
		h.say("planted", "a socket for the next bottle", "sock")
	}
	err := os.WriteFile("mine", []byte("from the agent\n"), 0o644)
	h.holds("the rest cannot be written", err == nil, err)
	err = os.WriteFile(".git/objects/mine", nil, 0o644)
	h.holds("the rest of .git cannot be written", err == nil, err)
	os.Remove(".git/objects/mine")
}

// parents are the folders above the paths, the paths' own top ones included.
func parents(paths []string) (list []string) {
	seen := map[string]bool{}
	for _, p := range paths {
		for ; p != "."; p = filepath.Dir(p) {
			if fi, err := os.Stat(p); err == nil && fi.IsDir() && !seen[p] {
				seen[p] = true
				list = append(list, p)
			}
		}
	}
	return list
}

func exchange(path string) error {
	os.Mkdir("other", 0o755)
	defer os.Remove("other")
	return unix.Renameat2(unix.AT_FDCWD, "other", unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
}

// plant tries to get a file of the agent's to path, or below it.
func (h *hostile) plant(path string) {
	no := []error{unix.EROFS, unix.EBUSY, unix.EXDEV, unix.EEXIST, unix.EISDIR, unix.ENOTDIR, unix.ENOTEMPTY, unix.EACCES}
	os.WriteFile("evil", []byte("evil"), 0o755)
	os.Mkdir("evildir", 0o755)
	defer os.Remove("evil")
	defer os.RemoveAll("evildir")
	for _, p := range []string{path, filepath.Join(path, "x")} {
		h.refused("write "+p, os.WriteFile(p, []byte("evil"), 0o755), no...)
		h.refused("rename over "+p, os.Rename("evil", p), no...)
		h.refused("rename a folder over "+p, os.Rename("evildir", p), no...)
		h.refused("symbolic link "+p, os.Symlink("/tmp/evil", p), no...)
		h.refused("hard link "+p, os.Link("evil", p), no...)
		h.refused("make "+p, os.Mkdir(p, 0o755), no...)
		h.refused("pipe at "+p, unix.Mkfifo(p, 0o644), no...)
	}
	h.refused("remove "+path, os.Remove(path), no...)
	h.refused("chmod "+path, os.Chmod(path, 0o777), no...)
	h.refused("times of "+path, unix.UtimesNanoAt(unix.AT_FDCWD, path, make([]unix.Timespec, 2), unix.AT_SYMLINK_NOFOLLOW), no...)
	h.refused("name "+path+" otherwise", os.Link(path, "linked"), append(no, unix.EPERM)...)
	h.again(path)
	if len(h.Only) > 0 {
		os.RemoveAll(path) // outside of a bottle all of that worked
	}
}

// again opens what can be read, and that open file for writing.
func (h *hostile) again(path string) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	link := "/proc/self/fd/" + strconv.Itoa(fd)
	h.refused("open "+path+" again", os.WriteFile(link, []byte("evil"), 0), unix.EROFS, unix.EISDIR, unix.EACCES)
	h.refused("make a file at "+path+" by its descriptor", os.WriteFile(link+"/x", []byte("evil"), 0o644), unix.EROFS, unix.ENOTDIR, unix.EACCES)
	h.refused("link "+path+" by its descriptor", unix.Linkat(unix.AT_FDCWD, link, unix.AT_FDCWD, "linked", unix.AT_SYMLINK_FOLLOW), unix.EXDEV, unix.EPERM, unix.EROFS)
}

// plantAll plants in a copy, by every way and in capitals too; the host must not
// get any of it.
func (h *hostile) plantAll() {
	for i, p := range h.Protected {
		for _, p := range []string{p, strings.ToUpper(p)} {
			os.MkdirAll(filepath.Dir(p), 0o755)
			os.RemoveAll(p)
			var err error
			switch i % 3 {
			case 0:
				err = os.WriteFile(p, []byte("evil"), 0o755)
			case 1:
				err = os.Symlink("/tmp/evil", p)
			default:
				if err = os.MkdirAll(p, 0o755); err == nil {
					err = os.WriteFile(filepath.Join(p, "x"), []byte("evil"), 0o755)
				}
			}
			if err != nil {
				h.refused("plant "+p, err)
				continue
			}
			h.say("planted", "in the copy", p)
		}
	}
}

// masks: the credentials in the workspace are empty files, in whatever way they
// are come by. In a copy nothing else is there.
func (h *hostile) masks() {
	empty := func(path string) bool {
		data, err := os.ReadFile(path)
		return err == nil && len(data) == 0
	}
	for _, f := range h.Masked {
		h.holds("read "+f, empty(f), f)
		if h.Copied {
			continue
		}
		h.refused("rename "+f, os.Rename(f, "unmasked"), unix.EBUSY, unix.EXDEV)
		h.refused("link "+f, os.Link(f, "unmasked"), unix.EXDEV, unix.EPERM)
		h.refused("exchange "+f, exchange(f), unix.EBUSY, unix.EXDEV)
		h.refused("remove "+f, os.Remove(f), unix.EBUSY)
		if len(h.Only) > 0 {
			return
		}
		dir := filepath.Dir(f)
		if dir != "." && os.Rename(dir, "unmasked") == nil {
			h.holds("read "+f+" in a folder moved away", empty(filepath.Join("unmasked", filepath.Base(f))), f)
			os.Rename("unmasked", dir)
		}
		h.holds("read "+f+" above the folder", empty(filepath.Join("/proc/self/cwd", f)), f)
	}
}
