package sandbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRemedy(t *testing.T) {
	for _, c := range []struct {
		name, step string
		err        error
		settings   map[string]string
		want       string
	}{
		{"used up", "clone", unix.ENOSPC, nil, "user.max_user_namespaces"},
		{"switched off", "clone", unix.EPERM, map[string]string{"/proc/sys/user/max_user_namespaces": "0"}, "user.max_user_namespaces"},
		{"old Debian", "clone", unix.EPERM, map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0"}, "unprivileged_userns_clone=1"},
		{"Ubuntu", "mount", errors.New("tmpfs: permission denied"),
			map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "profile bottlerun"},
		{"old kernel", "mount", errors.New("/usr: mount_setattr: function not implemented"), nil, "Linux 5.12"},
		{"masked /proc", "mount", errors.New("proc: operation not permitted"), nil, "systempaths=unconfined"},
		{"in docker", "clone", unix.EPERM, map[string]string{"/proc/1/cgroup": "1:cpu:/docker/abc"}, "a container already"},
		{"anything", "mount", unix.EACCES, nil, "on the host"},
	} {
		got := remedy(c.step, c.err, func(path string) string { return c.settings[path] })
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q; wanted %q in it", c.name, got, c.want)
		}
	}
}

// TestProbeInside: a sandbox holds no sandbox, and the error says so.
func TestProbeInside(t *testing.T) {
	needsSandbox(t)
	code, out, stderr := run(t, config(t, newWorkspace(t, Policy{}), testAgent("probe")...))
	if code != 0 || !strings.Contains(out, "hint: this is a container already (or a bottle)") || !strings.Contains(out, "-backend env") {
		t.Errorf("code %d, %q, %q", code, out, stderr)
	}
}

func probe([]string) int {
	err := Probe()
	fmt.Println(err)
	if !errors.Is(err, ErrUnsupported) {
		return 1
	}
	return 0
}
