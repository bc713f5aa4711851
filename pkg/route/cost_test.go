package route

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A style is one way to write the routes of a table: two paths and a credential
// each.
type style struct{ name, head, route, between, foot string }

var styles = []style{
	{"block", "routes:\n", "  - host: h%d.example.com\n    path_allowlist:\n      - /repos/me\n      - /user\n    auth_scheme: Bearer\n    token_env: EGRESS_PROXY_TOKEN_0\n", "", ""},
	{"flow", "routes: [\n", "  {host: h%d.example.com, path_allowlist: [/repos/me, /user], auth_scheme: Bearer, token_env: EGRESS_PROXY_TOKEN_0}", ",\n", "\n]\n"},
	{"json", `{"routes":[`, `{"host":"h%d.example.com","path_allowlist":["/repos/me","/user"],"auth_scheme":"Bearer","token_env":"EGRESS_PROXY_TOKEN_0"}`, ",", "]}\n"},
}

// file is a table of n routes.
func (s style) file(n int) []byte {
	b := make([]byte, 0, 100+n*(len(s.route)+len(s.between)+5))
	b = append(b, s.head...)
	for i := range n {
		if i > 0 {
			b = append(b, s.between...)
		}
		b = fmt.Appendf(b, s.route, i)
	}
	return append(b, s.foot...)
}

// TestParseLargestTable holds what the longest table costs: under 1 s of processor
// time and 200 MB in memory, the file included, whatever its style.
func TestParseLargestTable(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("-short, or the race detector, which multiplies both")
	}
	for _, s := range styles {
		t.Run(s.name, func(t *testing.T) {
			used, peak := parseApart(t, s.name, MaxRoutes)
			for range 2 { // the best of three: others use the machine
				u, p := parseApart(t, s.name, MaxRoutes)
				used, peak = min(used, u), min(peak, p)
			}
			t.Logf("%v, %d MB", used, peak/1e6)
			if used > time.Second || peak > 200e6 {
				t.Errorf("%v and %d MB; wanted at most 1s and 200 MB", used, peak/1e6)
			}
		})
	}
}

// parseApart parses a table in a process of its own, and returns the processor
// time of that and the process's peak memory in bytes.
func parseApart(t testing.TB, style string, n int) (used time.Duration, peak int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestParseApart$")
	cmd.Env = append(os.Environ(), "ROUTE_PARSE="+style, "ROUTE_COUNT="+strconv.Itoa(n))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var kib int
	if _, err := fmt.Sscanf(string(out), "parsed %d %d", &used, &kib); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return used, kib << 10
}

// TestParseApart is that process.
func TestParseApart(t *testing.T) {
	if os.Getenv("ROUTE_PARSE") == "" {
		return
	}
	n, _ := strconv.Atoi(os.Getenv("ROUTE_COUNT"))
	for _, s := range styles {
		if s.name != os.Getenv("ROUTE_PARSE") {
			continue
		}
		data := s.file(n)
		before := processorTime(t)
		table, err := Parse("f", data)
		if err != nil || len(table.Routes) != n {
			t.Fatal(err)
		}
		fmt.Printf("parsed %d %d\n", processorTime(t)-before, peakMemory(t))
	}
}

func processorTime(t testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is VmHWM (proc_pid_status(5)) in KiB.
func peakMemory(t testing.TB) (kib int) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}
