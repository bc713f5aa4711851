package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// What the agent sees of the host's system, read-only. Everything else of the
// host, its homes and sockets above all, is not there.
var (
	// Not all of /nix: in /nix/var is the socket of nix's daemon, which builds, and
	// downloads, outside for whoever connects.
	systemBinds = []string{"/usr", "/etc", "/opt", "/nix/store", "/nix/var/nix/profiles", "/var/lib/ca-certificates"}
	// Symbolic links into /usr on most systems, folders on some.
	systemLinks = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
	// Where systems keep the CA bundle (pkg/ca reads the same).
	trustStores = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem"}
)

// host is where the old root is while the new one is built.
const host = "/.host"

const (
	runBytes  = 64 << 20
	rootBytes = 16 << 20
	shmBytes  = 256 << 20
)

// buildRoot makes a new root file system and moves into it. The old root stays
// at host until dropHost.
func buildRoot(s *spec) error {
	for _, step := range []func(*spec) error{newRoot, bindSystem, mountProc, layerSystem, makeDev, makePrivate, writeOwn, overEtc, hideSockets, bindReadOnly, bindWorkspace} {
		if err := step(s); err != nil {
			return err
		}
	}
	return nil
}

// newRoot mounts a tmpfs and makes it the root. /tmp serves as its place for
// the moment between: what it hides is at host again after pivot_root(2).
func newRoot(*spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	const base = "/tmp"
	if err := unix.Mount("tmpfs", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=0755,size=%d,nr_inodes=%d", rootBytes, rootBytes/inodeBytes)); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	if err := unix.Mkdir(base+host, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(base, base+host); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	return unix.Chdir("/")
}

func bindSystem(*spec) error {
	for _, p := range systemBinds {
		if err := bindHost(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, p := range systemLinks {
		text, err := os.Readlink(host + p)
		if err == nil {
			err = unix.Symlink(text, p)
		} else {
			err = bindHost(p)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// bindHost shows the host's path at the same path, read-only.
func bindHost(path string) error {
	tree, err := cloneTree(unix.AT_FDCWD, host+path, sealed)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(tree)
	if err := place(tree, path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// makePrivate makes the folders that are the agent's own and end with it.
func makePrivate(s *spec) error {
	const flags = unix.MS_NODEV
	for _, d := range []struct {
		path  string
		mode  uint32
		bytes uint64
	}{
		{"/tmp", 0o1777, s.TmpBytes},
		{"/var/tmp", 0o1777, s.TmpBytes},
		{Home, 0o700, s.TmpBytes},
		{"/run", 0o755, runBytes},
		{RunDir, 0o755, runBytes},
		{"/dev/shm", 0o1777, shmBytes},
	} {
		if err := mountTmpfs(d.path, d.mode, d.bytes, flags); err != nil {
			return err
		}
	}
	for _, d := range []string{"/sys", "/mnt", "/srv", "/var/log", "/var/cache"} {
		if err := makeDirs(d); err != nil {
			return err
		}
	}
	return unix.Symlink("../run", "/var/run")
}

// writeOwn fills RunDir. It becomes read-only in seal, after the listeners.
func writeOwn(s *spec) error {
	for name, data := range s.Files {
		if err := writeFile(filepath.Join(RunDir, filepath.Base(name)), data, 0o444); err != nil {
			return err
		}
	}
	if s.BundleFd != 0 {
		if err := fileFrom(BundleFile, s.BundleFd, 0o444); err != nil {
			return err
		}
	}
	for rel, data := range s.Home {
		if !filepath.IsLocal(rel) {
			return fmt.Errorf("home: %s: not a path in it", rel)
		}
		path := filepath.Join(Home, rel)
		if err := makeDirs(filepath.Dir(path)); err != nil {
			return err
		}
		if err := writeFile(path, data, 0o600); err != nil {
			return err
		}
	}
	for name, src := range s.Programs {
		if err := bindSource(src, filepath.Join(BinDir, filepath.Base(name)), sealed); err != nil {
			return err
		}
	}
	return nil
}

// overEtc puts the bundle over the system's CA stores, so that tools that
// look at no variable trust the bottle's authority, and our passwd over the
// host's where that does not know the agent.
func overEtc(s *spec) error {
	root, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if s.BundleFd != 0 {
		for _, store := range trustStores {
			if err := cover(root, store, BundleFile); err != nil {
				return err
			}
		}
	}
	if len(s.Passwd) == 0 {
		return nil
	}
	const passwd = RunDir + "/passwd"
	if err := writeFile(passwd, s.Passwd, 0o444); err != nil {
		return err
	}
	return cover(root, "/etc/passwd", passwd)
}

// cover binds the file from over path, if there is a path.
func cover(root int, path, from string) error {
	target, err := openIn(root, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(target)
	tree, err := cloneTree(unix.AT_FDCWD, from, sealed)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	defer unix.Close(tree)
	if err := attach(tree, target); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func bindReadOnly(s *spec) error {
	for _, src := range s.ReadOnly {
		if err := bindSource(src, src.Path, sealed); err != nil {
			return err
		}
	}
	return nil
}

// bindSource places a source at path.
func bindSource(src source, path string, attr uint64) error {
	tree, err := src.open(attr)
	if err != nil {
		return fmt.Errorf("%s: %w", src.Path, err)
	}
	defer unix.Close(tree)
	if err := place(tree, path); err != nil {
		return fmt.Errorf("%s: %w", src.Path, err)
	}
	return nil
}

// open is the source as a detached tree with attr.
func (src source) open(attr uint64) (int, error) {
	if src.Fd != 0 {
		return src.Fd, nil // the launcher has set the attributes
	}
	// The launcher has resolved the path; a link now is somebody's trick.
	root, err := unix.Open(host, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, strings.TrimPrefix(src.Path, "/"), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	})
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, err
	}
	if src.Ino != 0 && (uint64(st.Dev) != src.Dev || st.Ino != src.Ino) {
		return -1, errors.New("it was replaced meanwhile")
	}
	return cloneTree(fd, "", attr)
}

// bindWorkspace comes last, so that a workspace below /tmp, /home or /usr lies
// on top of what is there.
func bindWorkspace(s *spec) error {
	if err := bindSource(s.Workspace, s.Workspace.Path, plain); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	dir, err := unix.Open(s.Workspace.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	defer unix.Close(dir)
	pinned := map[string]bool{}
	for _, rel := range s.Covered {
		if err := protectPath(dir, rel, pinned); err != nil {
			return fmt.Errorf("protecting %s: %w", plainly(filepath.Join(s.Workspace.Path, rel)), err)
		}
		pinned[rel] = true
	}
	for _, rel := range s.Masked {
		if err := maskPath(dir, rel, pinned); err != nil {
			return fmt.Errorf("masking %s: %w", plainly(filepath.Join(s.Workspace.Path, rel)), err)
		}
	}
	return nil
}

// protectPath makes rel read-only and each folder on the way to it a mount
// point (protect_linux.go says why).
func protectPath(dir int, rel string, pinned map[string]bool) error {
	if err := pinParents(dir, rel, pinned); err != nil {
		return err
	}
	return bindSelf(dir, rel, sealed)
}

// pinParents makes each folder on the way to rel a mount point, but those that are
// one.
func pinParents(dir int, rel string, pinned map[string]bool) error {
	parts := strings.Split(rel, "/")
	for i := 1; i < len(parts); i++ {
		p := strings.Join(parts[:i], "/")
		if pinned[p] {
			continue
		}
		if err := bindSelf(dir, p, plain); err != nil {
			return err
		}
		pinned[p] = true
	}
	return nil
}

// maskPath puts an empty file, or folder, over rel.
func maskPath(dir int, rel string, pinned map[string]bool) error {
	if err := pinParents(dir, rel, pinned); err != nil {
		return err
	}
	fd, err := beneath.Open(dir, rel, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	empty := "/.empty/file"
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		empty = "/.empty/dir"
	}
	tree, err := cloneTree(unix.AT_FDCWD, empty, sealed)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	return attach(tree, fd)
}

// bindSelf mounts rel, below dir, over itself with attr.
func bindSelf(dir int, rel string, attr uint64) error {
	fd, err := beneath.Open(dir, rel, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	tree, err := cloneTree(fd, "", attr)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	return attach(tree, fd)
}

// dropHost takes the old root away and makes the new one read-only.
func dropHost() error {
	if err := unix.Unmount(host, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmounting the host: %w", err)
	}
	if err := unix.Rmdir(host); err != nil {
		return err
	}
	if err := sealPath(RunDir, true); err != nil {
		return err
	}
	return sealPath("/", false)
}
