package route

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// bigFile is a routes file of n routes as people write them.
func bigFile(n int) []byte {
	var b strings.Builder
	b.WriteString("routes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - host: h%d.example.com\n    path_allowlist: [/repos/me]\n", i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		data := bigFile(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("f", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestParseLargestTable bounds what the longest table costs: 200 MB, and a time
// that only a cost growing faster than the file would exceed. BenchmarkParse
// measures it: well under a second on an idle machine.
func TestParseLargestTable(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("-short, or the race detector, which multiplies both")
	}
	data := bigFile(MaxRoutes)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	if _, err := Parse("f", data); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapSys-before.HeapSys) >> 20
	t.Logf("%d bytes: %v, %d MB", len(data), took, grown)
	if took > 5*time.Second || grown > 200 {
		t.Errorf("%v and %d MB; wanted at most 5s and 200 MB", took, grown)
	}
}

// BenchmarkMatch shows that the cost of an answer does not grow with the table.
func BenchmarkMatch(b *testing.B) {
	queries := map[string]Query{
		"exact":   query("h7.example.com", "/repos/me/x"),
		"escapes": query("h7.example.com", "/repos/me/a%20b"),
		"refused": query("a.b.c.other.test", "/"),
	}
	for _, n := range []int{10, 10_000, MaxRoutes} {
		table, err := Parse("f", bigFile(n))
		if err != nil {
			b.Fatal(err)
		}
		for name, q := range queries {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.Match(q)
				}
			})
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	table, err := Parse("f", bigFile(MaxRoutes))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		table.Digest()
	}
}
