package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bottle/pkg/state"
)

// rest is how long a bottle runs before its memory is read: what its start needed
// has been given back then.
const rest = 2 * time.Second

// memories prints the memory of a bottle that runs, of each of its processes.
func (o *options) memories(ctx context.Context, w io.Writer) error {
	fmt.Fprint(w, "\n| memory, MB | resident | its share | of that its own |\n|---|---:|---:|---:|\n")
	for i, bin := range o.bins {
		if err := o.memory(ctx, w, bin, o.of(i)); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) memory(ctx context.Context, w io.Writer, bin, of string) error {
	s, err := sit(o.command(ctx, bin, "run", "bench", "--", "sh", "-c", "echo up; read line"))
	if err != nil {
		return err
	}
	defer s.end()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rest):
	}
	rec, err := state.Dir(filepath.Join(o.home, ".local/state/bottle/bench")).Load()
	if err != nil {
		return err
	}
	var both usage3
	for _, p := range []struct {
		what string
		pid  int
	}{
		{"launcher", rec.Launcher.Pid}, {"process 1 of the sandbox", rec.Parts["agent"].Pid},
		{"egress-proxy", rec.Parts["egress-proxy"].Pid}, {"superviser", rec.Parts["superviser"].Pid},
	} {
		u, err := usageOf(p.pid)
		if err != nil {
			fmt.Fprintf(w, "| %s%s | not to be read by uid %d | | |\n", p.what, of, os.Geteuid())
			continue
		}
		u.print(w, p.what+of)
		if p.pid == rec.Launcher.Pid || p.pid == rec.Parts["agent"].Pid {
			both.add(u)
		}
	}
	both.print(w, "launcher and process 1 together"+of)
	return nil
}

// usage3 is memory in kB: pages in memory, those of several processes divided
// among them, and those of this process alone that no file holds.
type usage3 struct{ resident, share, own int }

func (u *usage3) add(v usage3) {
	u.resident += v.resident
	u.share += v.share
	u.own += v.own
}

func (u usage3) print(w io.Writer, what string) {
	fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f |\n", what, float64(u.resident)/1024, float64(u.share)/1024, float64(u.own)/1024)
}

// usageOf reads smaps_rollup (proc(5)).
func usageOf(pid int) (u usage3, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(data)) {
		for name, to := range map[string]*int{"Rss": &u.resident, "Pss": &u.share, "Pss_Anon": &u.own} {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				if _, err := fmt.Sscan(rest, to); err != nil {
					return u, err
				}
			}
		}
	}
	return u, err
}
