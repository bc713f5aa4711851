package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// patience is how long an attempt may hang that nobody answers: what is open is
// on this machine.
const patience = 400 * time.Millisecond

// hostAddresses: what listens on each address of the host, and on the gateway.
func (h *hostile) hostAddresses() {
	targets := h.TCP
	for _, gw := range gateways() {
		_, port, _ := net.SplitHostPort(h.TCP[0])
		targets = append(targets, net.JoinHostPort(gw, port))
	}
	var all sync.WaitGroup
	for _, a := range targets {
		all.Go(func() { h.dial("connect "+a, "tcp", a) })
	}
	for _, a := range h.UDP {
		all.Go(func() { h.ask("send to "+a, a, []byte("escape")) })
	}
	all.Wait()
}

// gateways are those of the routing table (proc_net_route's third column).
func gateways() (list []string) {
	data, _ := os.ReadFile("/proc/net/route")
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] == "00000000" {
			continue
		}
		if b, err := hex.DecodeString(f[2]); err == nil && len(b) == 4 {
			list = append(list, net.IPv4(b[3], b[2], b[1], b[0]).String())
		}
	}
	return list
}

// question is for a name server (RFC 1035 §4.2). The engine's own in a container
// may say that it cannot ask: then nobody was asked.
func (h *hostile) question(attempt, network, address string, q []byte) {
	answer := make([]byte, 512)
	c, err := net.DialTimeout(network, address, patience)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if _, err = c.Write(q); err == nil {
			_, err = io.ReadAtLeast(c, answer, 6)
		}
	}
	if network == "tcp" {
		answer = answer[2:]
	}
	if code := answer[3] & 15; err == nil && code != rcodeOK && code != rcodeNoName {
		err = fmt.Errorf("answer with code %d", code)
	}
	h.refused(attempt, err)
}

// Codes of an answer that somebody knew.
const rcodeOK, rcodeNoName = 0, 3

func (h *hostile) dial(attempt, network, address string) {
	c, err := net.DialTimeout(network, address, patience)
	if err == nil {
		c.Close()
	}
	h.refused(attempt, err)
}

// ask sends a datagram; any answer is a way out.
func (h *hostile) ask(attempt, address string, data []byte) {
	c, err := net.DialTimeout("udp", address, patience)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if _, err = c.Write(data); err == nil {
			_, err = c.Read(make([]byte, 512))
		}
	}
	h.refused(attempt, err)
}

// metadata: what clouds tell every machine of theirs.
func (h *hostile) metadata() {
	targets := []string{"169.254.169.254:80"}
	if h.Empty {
		targets = append(targets, "[fd00:ec2::254]:80", "100.100.100.200:80", "168.63.129.16:80", "192.0.2.1:443", "[2001:db8::1]:443")
	}
	var all sync.WaitGroup
	for _, a := range targets {
		all.Go(func() { h.dial("connect "+a, "tcp", a) })
	}
	all.Wait()
}

// names: data leaves in questions to name servers.
func (h *hostile) names() {
	servers := []string{"127.0.0.1", "127.0.0.11", "127.0.0.53", "::1"}
	if data, err := os.ReadFile("/etc/resolv.conf"); err == nil && h.Empty {
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
				servers = append(servers, f[1])
			}
		}
	}
	q := []byte{0xb0, 0x77, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, label := range []string{"secret", "canary", "invalid"} {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0, 0, 1, 0, 1)
	var all sync.WaitGroup
	for _, s := range servers {
		a := net.JoinHostPort(s, "53")
		all.Go(func() { h.question("ask "+a, "udp", a, q) })
		all.Go(func() { h.question("ask over TCP "+a, "tcp", a, append([]byte{0, byte(len(q))}, q...)) })
	}
	all.Go(func() {
		_, err := net.LookupHost("secret.canary.invalid")
		h.refused("look up a name", err)
	})
	all.Wait()
}

// rawNetwork: frames and packets of one's own making, families with a kernel of
// their own behind them.
func (h *hostile) rawNetwork() {
	for name, s := range map[string][3]int{
		"AF_PACKET raw":        {unix.AF_PACKET, unix.SOCK_RAW, 0x0300},
		"AF_PACKET dgram":      {unix.AF_PACKET, unix.SOCK_DGRAM, 0x0300},
		"AF_INET raw":          {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW},
		"AF_INET raw TCP":      {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP},
		"AF_INET raw UDP":      {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP},
		"AF_INET raw ICMP":     {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		"AF_INET raw 0":        {unix.AF_INET, unix.SOCK_RAW, 0},
		"AF_INET6 raw":         {unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_RAW},
		"AF_INET6 raw ICMP":    {unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6},
		"SCTP":                 {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP},
		"DCCP":                 {unix.AF_INET, 6, 33},
		"AF_ALG":               {unix.AF_ALG, unix.SOCK_SEQPACKET, 0},
		"AF_BLUETOOTH":         {unix.AF_BLUETOOTH, unix.SOCK_RAW, 0},
		"AF_XDP":               {unix.AF_XDP, unix.SOCK_RAW, 0},
		"AF_KEY":               {unix.AF_KEY, unix.SOCK_RAW, 2},
		"AF_CAN":               {unix.AF_CAN, unix.SOCK_RAW, 1},
		"AF_TIPC":              {unix.AF_TIPC, unix.SOCK_SEQPACKET, 0},
		"AF_RDS":               {unix.AF_RDS, unix.SOCK_SEQPACKET, 0},
		"AF_SMC":               {unix.AF_SMC, unix.SOCK_STREAM, 0},
		"AF_NFC":               {unix.AF_NFC, unix.SOCK_SEQPACKET, 0},
		"AF_QIPCRTR":           {unix.AF_QIPCRTR, unix.SOCK_DGRAM, 0},
		"netlink netfilter":    {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER},
		"netlink audit":        {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT},
		"netlink generic":      {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC},
		"netlink xfrm":         {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_XFRM},
		"netlink uevent":       {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT},
		"netlink connector":    {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_CONNECTOR},
		"netlink sockets":      {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG},
		"netlink, a high bit":  {unix.AF_NETLINK, unix.SOCK_RAW, 1<<8 | unix.NETLINK_NETFILTER},
		"AF_PACKET, by a pair": {-unix.AF_PACKET, unix.SOCK_RAW, 0},
	} {
		h.refused(name, socket(s), unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.EPERM, unix.ESOCKTNOSUPPORT)
	}
}

// socket makes one and closes it; a family below 0 by socketpair(2).
func socket(s [3]int) error {
	if s[0] < 0 {
		_, err := unix.Socketpair(-s[0], s[1], s[2])
		return err
	}
	fd, err := unix.Socket(s[0], s[1], s[2])
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// hypervisor: AF_VSOCK knows no network namespace. A socket is enough.
func (h *hostile) hypervisor() {
	for name, typ := range map[string]int{"stream": unix.SOCK_STREAM, "datagram": unix.SOCK_DGRAM, "packet": unix.SOCK_SEQPACKET} {
		h.refused("AF_VSOCK "+name, socket([3]int{unix.AF_VSOCK, typ, 0}), unix.EAFNOSUPPORT, unix.EPERM)
	}
	fd, err := unix.Open("/dev/vsock", unix.O_RDONLY, 0)
	if err == nil {
		unix.Close(fd)
	}
	h.refused("/dev/vsock", err)
}

// networkSettings: an address, a route, an interface for oneself.
func (h *hostile) networkSettings() {
	ifs, err := net.Interfaces()
	h.holds("interfaces besides lo", err == nil && (!h.Empty || len(ifs) == 1 && ifs[0].Name == "lo"), ifs)
	lo := uint32(1)
	addr := append([]byte{unix.AF_INET, 24, 0, 0}, binary.NativeEndian.AppendUint32(nil, lo)...)
	addr = append(addr, 8, 0, unix.IFA_LOCAL, 0, 192, 0, 2, 77)
	h.refused("add an address", netlink(unix.RTM_NEWADDR, addr), unix.EPERM)
	route := []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0}
	route = append(append(route, 8, 0, unix.RTA_OIF, 0), binary.NativeEndian.AppendUint32(nil, lo)...)
	h.refused("add a route", netlink(unix.RTM_NEWROUTE, route), unix.EPERM)
	kind := []byte{16, 0, unix.IFLA_LINKINFO, 0, 10, 0, unix.IFLA_INFO_KIND, 0, 'd', 'u', 'm', 'm', 'y', 0, 0, 0}
	h.refused("make an interface", netlink(unix.RTM_NEWLINK, append(make([]byte, unix.SizeofIfInfomsg), kind...)), unix.EPERM, unix.EOPNOTSUPP)
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		h.holds("a socket of its own", false, err)
		return
	}
	defer unix.Close(s)
	ifr, _ := unix.NewIfreq("lo")
	ifr.SetUint16(0)
	h.refused("take lo down", call(unix.SYS_IOCTL, uintptr(s), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(ifr))), unix.EPERM)
	h.refused("mark packets", unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_MARK, 1), unix.EPERM)
}

// netlink sends one request of NETLINK_ROUTE and returns its acknowledgement.
func netlink(typ uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	m = binary.NativeEndian.AppendUint16(m, typ)
	m = binary.NativeEndian.AppendUint16(m, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE)
	m = append(append(m, make([]byte, 8)...), body...)
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	b := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil || n < 20 {
		return fmt.Errorf("no acknowledgement: %w", err)
	}
	if e := int32(binary.NativeEndian.Uint32(b[16:])); e != 0 {
		return unix.Errno(-e)
	}
	return nil
}

// abstractSockets are in the network's namespace, and have no file.
func (h *hostile) abstractSockets() {
	for _, name := range h.Abstract {
		h.dial("connect @"+name, "unix", "@"+name)
	}
	data, _ := os.ReadFile("/proc/net/unix")
	sc := bufio.NewScanner(strings.NewReader(string(data)))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) == 8 && strings.HasPrefix(f[7], "@") {
			h.dial("connect the listed "+f[7], "unix", f[7])
		}
	}
}
