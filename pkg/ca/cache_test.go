package ca

import (
	"crypto/tls"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLeafIsKept(t *testing.T) {
	a, c := authority(t)
	first, err := a.Leaf("example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at   time.Duration
		kept bool
	}{
		{leafLife - renewAhead - time.Second, true},
		{0, true},
		{leafLife - renewAhead, false}, // a day before its end
	} {
		c.t = start.Add(tt.at)
		got, err := a.Leaf("example.com")
		if err != nil || (got == first) != tt.kept {
			t.Errorf("after %v: kept %v, %v, want %v", tt.at, got == first, err, tt.kept)
		}
	}
	if n := a.allowed.order.Len(); n != 1 || len(a.allowed.hosts) != 1 {
		t.Errorf("%d leaves are kept, want the new one", n)
	}
}

// TestLeafAfterClockStep checks that a clock set back does not leave a leaf
// that begins in the future.
func TestLeafAfterClockStep(t *testing.T) {
	a, c := authority(t)
	first, _ := a.Leaf("example.com")
	c.t = start.Add(-2 * time.Hour)
	again, err := a.Leaf("example.com")
	if err != nil || again == first || parse(t, again).NotBefore.After(c.t) {
		t.Errorf("got %v, the same %v", err, again == first)
	}
}

func TestLeafAtTheEndOfTheAuthority(t *testing.T) {
	a, c := authority(t)
	end := a.cert.NotAfter
	c.t = end.Add(-10 * time.Hour)
	first, err := a.Leaf("example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, first).NotAfter; !got.Equal(end) {
		t.Errorf("ends %v, want with the authority %v", got, end)
	}
	c.t = end.Add(-time.Second)
	if again, _ := a.Leaf("example.com"); again != first {
		t.Error("signed again for nothing")
	}
	c.t = end
	if _, err := a.Leaf("example.com"); err == nil {
		t.Error("an expired authority still signs")
	}
}

func TestLeafOnceForMany(t *testing.T) {
	a, _ := authority(t)
	const hosts, askers = 4, 50
	var got [hosts][askers]*tls.Certificate
	var wg sync.WaitGroup
	for h := range hosts {
		for i := range askers {
			wg.Go(func() { got[h][i], _ = a.Leaf(fmt.Sprintf("h%d.example.com", h)) })
		}
	}
	wg.Wait()
	for h := range hosts {
		for i := range askers {
			if got[h][i] == nil || got[h][i] != got[h][0] {
				t.Fatalf("host %d, asker %d: got another leaf", h, i)
			}
		}
	}
}

// TestCacheSignsOnce holds the work open until everyone waits for it.
func TestCacheSignsOnce(t *testing.T) {
	c := cache{max: 10}
	const askers = 20
	var signed atomic.Int32
	begun, release := make(chan struct{}), make(chan struct{})
	sign := func(string, time.Time) (leaf, error) {
		if signed.Add(1) == 1 {
			close(begun)
		}
		<-release
		return leaf{&tls.Certificate{}, start.Unix(), start.Add(time.Hour).Unix()}, nil
	}
	results := make(chan *tls.Certificate, askers)
	ask := func() { cert, _ := c.get("a", start, sign); results <- cert }
	go ask()
	<-begun
	for range askers - 1 {
		if e, _, _ := c.claim("a", start); e != nil {
			t.Fatal("claimed twice")
		}
		go ask()
	}
	// Another host is not held up by the one in work.
	other := func(string, time.Time) (leaf, error) { return leaf{}, errors.New("none") }
	if _, err := c.get("b", start, other); err == nil {
		t.Error("no error of the other host")
	}
	close(release)
	first := <-results
	for range askers - 1 {
		if got := <-results; got != first {
			t.Error("another certificate")
		}
	}
	if n := signed.Load(); n != 1 {
		t.Errorf("signed %d times", n)
	}
}

func TestCacheForgetsErrors(t *testing.T) {
	c := cache{max: 10}
	calls := 0
	sign := func(string, time.Time) (leaf, error) {
		if calls++; calls == 1 {
			return leaf{}, errors.New("no")
		}
		return leaf{&tls.Certificate{}, start.Unix(), start.Add(time.Hour).Unix()}, nil
	}
	if _, err := c.get("a", start, sign); err == nil {
		t.Error("no error")
	}
	if cert, err := c.get("a", start, sign); err != nil || cert == nil {
		t.Errorf("then %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := cache{max: 3}
	sign := func(string, time.Time) (leaf, error) {
		return leaf{&tls.Certificate{}, start.Unix(), start.Add(time.Hour).Unix()}, nil
	}
	for _, host := range []string{"a", "b", "c", "a", "d"} {
		c.get(host, start, sign)
	}
	for host, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if _, got := c.hosts[host]; got != want {
			t.Errorf("%s: kept %v, want %v", host, got, want)
		}
	}
	if c.order.Len() != 3 || len(c.hosts) != 3 {
		t.Errorf("%d and %d are kept", c.order.Len(), len(c.hosts))
	}
}

func TestRefusedDisplaceNoAllowed(t *testing.T) {
	a, _ := authority(t)
	a.allowed.max, a.refused.max = 2, 2
	first, _ := a.Leaf("example.com")
	for i := range 20 {
		if _, err := a.LeafForRefused(fmt.Sprintf("r%d.example.com", i)); err != nil {
			t.Fatal(err)
		}
	}
	if again, _ := a.Leaf("example.com"); again != first {
		t.Error("refused names displaced an allowed one")
	}
	if n := a.refused.order.Len(); n != 2 {
		t.Errorf("%d refused names are kept, want 2", n)
	}
}

func BenchmarkLeafCached(b *testing.B) {
	a, _ := authority(b)
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.Leaf("example.com")
		}
	})
	b.Run("together", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				a.Leaf("example.com")
			}
		})
	})
}

// BenchmarkLeafMint makes a leaf, and also reports what one more costs in memory
// that is kept.
func BenchmarkLeafMint(b *testing.B) {
	a, _ := authority(b)
	b.ReportAllocs()
	for b.Loop() {
		a.sign("example.com", start)
	}
	b.StopTimer()
	const n = 2000
	before := heapInUse()
	for i := range n {
		a.Leaf(fmt.Sprintf("h%d.example.com", i))
	}
	b.ReportMetric(float64(heapInUse()-before)/n, "kept-B/leaf")
	runtime.KeepAlive(a)
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
