package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Probe reports whether sandboxes work here, by making one as far as the
// settings of a system can refuse it: all namespaces, the network, the mounts.
// The error wraps ErrUnsupported and names the cause and what helps.
func Probe() error {
	id := identity{UID: os.Geteuid(), GID: os.Getegid()}
	if id.UID == 0 {
		id = identity{UID: strangerID, GID: strangerID, Root: true}
	}
	l := &launch{id: id}
	defer l.close()
	if err := l.clone(spec{Probe: true}); err != nil {
		return unsupported("clone", err)
	}
	l.ctl.c.SetReadDeadline(time.Now().Add(startTimeout))
	m, files, err := l.ctl.receive()
	closeAll(files)
	l.cmd.Process.Kill() // it has nothing more to say
	<-l.done
	if err != nil {
		return unsupported("clone", fmt.Errorf("its first process ended at once (%w)", err))
	}
	if m.Kind == kindError {
		return unsupported("mount", errors.New(m.Text))
	}
	return nil
}

// probeInside is Probe's half in the stage _init: what AppArmor refuses only
// here (mounts, the network) and what a container's masked /proc refuses.
func probeInside() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := newRoot(nil); err != nil {
		return err
	}
	if err := mountProc(nil); err != nil {
		return err
	}
	return bindSystem(nil)
}

// unsupported explains err, met at step, by the settings of this system.
func unsupported(step string, err error) error {
	return fmt.Errorf("%w: %s: %w\nhint: %s\nhint: -backend env sets the variables only and is no sandbox",
		ErrUnsupported, step, err, remedy(step, err, readSetting))
}

// readSetting is the trimmed content of a file of /proc or /sys, or "".
func readSetting(path string) string {
	data, _ := os.ReadFile(path)
	return strings.TrimSpace(string(data))
}

const appArmorProfile = `this system's AppArmor lets only profiled programs make namespaces: install bottlerun at a fixed path and put into /etc/apparmor.d/bottlerun
    abi <abi/4.0>,
    include <tunables/global>
    profile bottlerun /usr/local/bin/bottlerun flags=(unconfined) {
      userns,
    }
  then: apparmor_parser -r /etc/apparmor.d/bottlerun; or sysctl kernel.apparmor_restrict_unprivileged_userns=0`

// remedy says what would help; setting reads a file.
func remedy(step string, err error, setting func(string) string) string {
	switch {
	case errors.Is(err, unix.ENOSPC) || setting("/proc/sys/user/max_user_namespaces") == "0":
		return "user namespaces are used up or switched off: sysctl user.max_user_namespaces=65536"
	case setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		return "this system keeps user namespaces to root: sysctl kernel.unprivileged_userns_clone=1"
	case setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
		return appArmorProfile
	case strings.Contains(err.Error(), "mount_setattr") || strings.Contains(err.Error(), "open_tree"):
		return "Linux 5.12 or newer is needed, and a container's filter must let mount_setattr pass"
	case strings.HasPrefix(err.Error(), "proc:"):
		return "a container hides parts of /proc here: run bottlerun on the host, or start the container with seccomp=unconfined and systempaths=unconfined"
	case step == "clone" && inContainer(setting):
		return "this is a container already (or a bottle): run bottlerun on the host, or take the container for the jail"
	}
	return "a container or a security module refuses namespaces here: run bottlerun on the host, as a plain user"
}

// inContainer guesses from the marks that engines leave.
func inContainer(setting func(string) string) bool { return containerMark(setting) != "" }

// containerMark is the mark, or "".
func containerMark(setting func(string) string) string {
	for _, p := range []string{"/.dockerenv", "/run/.containerenv", RunDir} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	if strings.Contains(setting("/proc/1/cgroup"), "docker") {
		return "/proc/1/cgroup"
	}
	return ""
}
