package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"bottle/pkg/cli"
)

const (
	insideEnv = "BENCH_INSIDE" // for the copy in the namespaces: the mount namespace that it is not in
	notInside = 75             // its exit code when they cannot be used
)

// inside runs this program again, with the same arguments, in a network and a
// mount namespace of its own: nothing there can reach another machine, ports 53
// and 443 are free, and names can be given without a trace outside. It needs
// root, or a system that lets users make namespaces; entered is false where
// neither is so.
func inside(ctx context.Context, env *cli.Env) (code int, entered bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, false, err
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), insideEnv+"="+mountNS())
	cmd.Stdout, cmd.Stderr = env.Stdout, env.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if id := os.Geteuid(); id != 0 {
		// The same user inside: programs that treat root in a special way do not.
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_ADMIN}
	}
	if err := cmd.Start(); err != nil {
		return 0, false, err
	}
	err = cmd.Wait()
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
		return 0, true, nil
	case errors.As(err, &exit) && exit.ExitCode() == notInside:
		return 0, false, errors.New("the system does not let it be set up")
	case ctx.Err() != nil || errors.As(err, &exit):
		return max(cmd.ProcessState.ExitCode(), cli.No), true, err
	}
	return cli.Trouble, true, err
}

// settle makes the namespaces usable: loopback up, host in /etc/hosts, and every
// other name asked from the origin's name server. The files in dir are bound
// over those of the system.
func settle(dir, host string) error {
	if os.Getenv(insideEnv) == mountNS() || mountNS() == "" {
		return errors.New("not in a mount namespace of its own; wanted " + insideEnv + " to be left unset")
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for name, text := range map[string]string{
		"/etc/hosts":       "127.0.0.1 localhost " + host + "\n::1 localhost\n",
		"/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n",
	} {
		over, err := filepath.EvalSymlinks(name)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(file, over, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind over %s: %w", over, err)
		}
	}
	return nil
}

// mountNS names the mount namespace of this process (namespaces(7)).
func mountNS() string {
	name, _ := os.Readlink("/proc/self/ns/mnt")
	return name
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
