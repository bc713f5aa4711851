package route

import (
	"fmt"
	"testing"
	"unsafe"
)

func BenchmarkParse(b *testing.B) {
	for _, style := range styles {
		for _, n := range []int{10, 1000, MaxRoutes} {
			data := style.file(n)
			b.Run(fmt.Sprintf("%s/%d", style.name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if _, err := Parse("f", data); err != nil {
						b.Fatal(err)
					}
				}
				_, peak := parseApart(b, style.name, n)
				b.ReportMetric(float64(peak)/1e6, "peak-RSS-MB")
			})
		}
	}
}

// BenchmarkMatch asks for the same host over and over, and for all hosts of the
// table in an order that no cache foresees.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000, MaxRoutes} {
		table := lookups(b, n)
		for _, ask := range asked {
			for _, spread := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/spread=%v/%d", ask.name, spread, n), func(b *testing.B) {
					q, next := ask.query(), uint32(1)
					b.ReportAllocs()
					for b.Loop() {
						if spread {
							next = setNumber(q.Host, next, n)
						}
						if d := table.Match(q); d.Allow != ask.allow {
							b.Fatalf("%s: %+v", q.Host, d)
						}
					}
				})
			}
		}
	}
}

// BenchmarkLookup is the part of Match that depends on the table.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 1000, MaxRoutes} {
		table := lookups(b, n)
		for _, ask := range asked {
			b.Run(fmt.Sprintf("%s/%d", ask.name, n), func(b *testing.B) {
				q := ask.query()
				b.ReportAllocs()
				for b.Loop() {
					if (table.Lookup(q.Host) != nil) != ask.allow {
						b.Fatal(q.Host)
					}
				}
			})
		}
	}
}

// A question is a host, with five digits for a number, and its answer.
type question struct {
	name, host string
	allow      bool
}

var asked = []question{
	{"exact", "h00000.example.com", true},
	{"wildcard", "a.b.w00000.example.org", true},
	{"miss", "a.b.m00000.example.com", false},
}

func (a question) query() Query {
	return query(string([]byte(a.host)), "/user/x") // a copy, which setNumber may change
}

// lookups is a table of n routes, every second a wildcard.
func lookups(tb testing.TB, n int) *Table {
	routes := make([]Route, n)
	for i := range routes {
		routes[i] = Route{Host: fmt.Sprintf("h%05d.example.com", i/2), PathAllowlist: []string{"/repos/me", "/user"}}
		if i%2 == 1 {
			routes[i].Host = fmt.Sprintf("*.w%05d.example.org", i/2)
		}
	}
	table, err := New(routes)
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

// setNumber writes a pseudo-random number below n/2 over the digits of host, in
// place, so that only the table's memory is touched anew. It returns the next
// seed.
func setNumber(host string, seed uint32, n int) uint32 {
	seed = seed*1664525 + 1013904223
	v := int(uint64(seed) * uint64(n/2) >> 32)
	bytes := unsafe.Slice(unsafe.StringData(host), len(host))
	at := len(host) - len("00000.example.com")
	for i := 4; i >= 0; i-- {
		bytes[at+i] = byte('0' + v%10)
		v /= 10
	}
	return seed
}

func BenchmarkDigest(b *testing.B) {
	table, err := Parse("f", styles[0].file(MaxRoutes))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		table.Digest()
	}
}
