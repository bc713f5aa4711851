package sandbox

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The self-test runs inside, before the agent starts, and trusts no option of
// the kernel's: it tries what must not work. Each success refuses the start.

const (
	reachTimeout  = 300 * time.Millisecond
	healthTimeout = 20 * time.Second
	askTimeout    = 5 * time.Second // of one of the questions in that time
)

// OpenCanaries listens on a port of every address of the host, for the time of
// the self-test, and returns the addresses for it to try. Nothing is accepted.
func OpenCanaries() (addrs []string, done func(), err error) {
	var open []net.Listener
	done = func() {
		for _, l := range open {
			l.Close()
		}
	}
	ips, err := net.InterfaceAddrs()
	if err != nil {
		return nil, done, err
	}
	for _, a := range ips {
		ipn, ok := a.(*net.IPNet)
		if !ok || ipn.IP.IsLinkLocalUnicast() {
			continue // needs a zone, of which the sandbox has none
		}
		l, err := net.Listen("tcp", net.JoinHostPort(ipn.IP.String(), "0"))
		if err != nil {
			continue // an address that is going away
		}
		open = append(open, l)
		addrs = append(addrs, l.Addr().String())
	}
	if len(open) == 0 {
		return nil, done, errors.New("self-test: no host address could be listened on")
	}
	return addrs, done, nil
}

// selfTest tries the host's addresses and a name look-up, at once.
func selfTest(reach []string) ([]Trial, error) {
	trials := []Trial{{What: "host", Count: len(reach), Detail: "a port that is open on every address of the host"}, {What: "name"}}
	faults := make([]error, 2)
	var wg sync.WaitGroup
	for i, try := range []func(*Trial) error{func(*Trial) error { return canaryHosts(reach) }, canaryName} {
		wg.Go(func() {
			started, t := time.Now(), &trials[i]
			faults[i] = try(t)
			t.Result, t.Millis = "refused", float64(time.Since(started).Microseconds())/1000
		})
	}
	wg.Wait()
	return trials, errors.Join(faults...)
}

// canaryHosts dials all the addresses at once.
func canaryHosts(reach []string) error {
	fault := make(chan error, len(reach))
	var wg sync.WaitGroup
	for _, a := range reach {
		wg.Go(func() {
			if c, err := net.DialTimeout("tcp", a, reachTimeout); err == nil {
				c.Close()
				fault <- fmt.Errorf("self-test: the host's address %s can be reached from inside", a)
			}
		})
	}
	wg.Wait()
	close(fault)
	return <-fault // nil when none
}

// canaryName asks every name server that the agent would ask for a name that
// does not exist. Any answer, also "no such name", is a way out for data.
func canaryName(t *Trial) error {
	name := "bottle-" + strings.ToLower(rand.Text()) + ".invalid"
	t.Detail = "the name " + name + " at every name server"
	for _, server := range nameServers() {
		t.Count++
		if answered(net.JoinHostPort(server, "53"), name) {
			return fmt.Errorf("self-test: the name server %s answers from inside", server)
		}
	}
	return nil
}

// nameServers are those of resolv.conf, and where a local one usually is.
func nameServers() []string {
	servers := []string{"127.0.0.53", "127.0.0.1"}
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return servers
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if w := strings.Fields(sc.Text()); len(w) > 1 && w[0] == "nameserver" {
			servers = append(servers, w[1])
		}
	}
	return servers
}

// answered sends one query (RFC 1035 §4.1, type A) and waits for any answer.
func answered(server, name string) bool {
	c, err := net.DialTimeout("udp", server, reachTimeout)
	if err != nil {
		return false
	}
	defer c.Close()
	q := []byte{0xb0, 0x77, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, label := range strings.Split(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0, 0, 1, 0, 1)
	if _, err := c.Write(q); err != nil {
		return false
	}
	c.SetReadDeadline(time.Now().Add(reachTimeout))
	n, err := c.Read(make([]byte, 512))
	return err == nil && n > 0
}

// noSockets are of families that the agent must not have.
var noSockets = []struct {
	domain, typ int
	what        string
}{
	{unix.AF_VSOCK, unix.SOCK_STREAM, "AF_VSOCK, to the hypervisor"},
	{unix.AF_PACKET, unix.SOCK_RAW, "AF_PACKET"},
}

// confinedTrials are what selfTestConfined has tried, if the agent's process went
// on after it.
func confinedTrials() (trials []Trial) {
	for _, s := range noSockets {
		trials = append(trials, Trial{What: "socket", Result: "refused", Count: 1, Detail: s.what})
	}
	return append(trials, Trial{What: "rights", Result: "none", Count: 1, Detail: "capabilities; no_new_privs and the system call filter are set"})
}

// selfTestConfined runs in the agent's process once it is confined.
func selfTestConfined() error {
	for _, s := range noSockets {
		if fd, err := unix.Socket(s.domain, s.typ|unix.SOCK_CLOEXEC, 0); err == nil {
			unix.Close(fd)
			return fmt.Errorf("self-test: a socket of %s can be made inside", s.what)
		}
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("self-test: %w", err)
	}
	if data != [2]unix.CapUserData{} {
		return fmt.Errorf("self-test: capabilities are left: %x", data)
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || n != 1 {
		return errors.New("self-test: no_new_privs is not set")
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil || n != unix.SECCOMP_MODE_FILTER {
		return errors.New("self-test: there is no system call filter")
	}
	return nil
}

// waitHealthy asks for url through the proxy until it answers 200.
func waitHealthy(proxy, rawURL string) error {
	if proxy == "" {
		proxy = ProxyAddr
	}
	late := time.Now().Add(healthTimeout)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := healthy(proxy, rawURL, late)
		if err == nil {
			return nil
		}
		if time.Now().After(late) {
			return fmt.Errorf("the proxy is not healthy: %w", err)
		}
		time.Sleep(pause)
	}
}

// healthy asks once. By hand: net/http is a third of the memory that process 1
// would keep for as long as the bottle runs, and a millisecond of its start.
func healthy(proxy, rawURL string, late time.Time) error {
	host, _, ok := strings.Cut(strings.TrimPrefix(rawURL, "http://"), "/")
	if !ok || !strings.HasPrefix(rawURL, "http://") {
		return fmt.Errorf("%s: wanted http://HOST/PATH", rawURL)
	}
	if soon := time.Now().Add(askTimeout); soon.Before(late) {
		late = soon
	}
	d := net.Dialer{Deadline: late}
	c, err := d.Dial("tcp", proxy)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(late)
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", rawURL, host); err != nil {
		return err
	}
	status, err := bufio.NewReaderSize(c, 512).ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("%s: no answer (%w)", rawURL, err)
	}
	// RFC 9112 §4: HTTP-version SP status-code SP.
	if f := strings.SplitN(strings.TrimSpace(string(status)), " ", 3); len(f) < 2 || !strings.HasPrefix(f[0], "HTTP/1.") || f[1] != "200" {
		return fmt.Errorf("%s answers %.60q", rawURL, status)
	}
	return nil
}
