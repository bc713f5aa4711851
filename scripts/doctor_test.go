package scripts

import (
	"strings"
	"testing"
)

// findings are doctor's lines: the state of each thing.
func findings(t *testing.T, out string) map[string]string {
	t.Helper()
	states := map[string]string{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case len(f) == 3:
			states[f[1]] = f[0]
		case !strings.HasPrefix(line, "hint: ") && !strings.HasPrefix(line, "  "):
			t.Errorf("neither a finding nor a hint: %q", line)
		}
	}
	return states
}

// TestDoctorOfMachine: where sandboxes work it says so, as root and as a user.
func TestDoctorOfMachine(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		op.env = append(op.env, "BOTTLE_DOCKER=/nonexistent")
		r := op.run("bottlerun", "doctor")
		states := findings(t, r.out)
		for thing, want := range map[string]string{"backend local": "ok", "programs": "ok", "state": "ok", "backend docker": "lacks", "seccomp": "ok"} {
			if states[thing] != want {
				t.Errorf("%s: %q, wanted %q", thing, states[thing], want)
			}
		}
		if r.code != 0 || r.errors != "" {
			t.Errorf("got %v", r)
		}
	})
}
