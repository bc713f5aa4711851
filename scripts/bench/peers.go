package main

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"text/template"
)

//go:embed conf
var conf embed.FS

// A peer is a proxy that can be a target: how its program is found and set up.
// All of them replace Authorization for the known host.
type peer struct {
	name, variable string // the environment's variable that names the program
	version        string // the flag that prints it
	forward        bool   // spoken to with CONNECT; otherwise TLS straight to it
	conf           string // template in conf/
	args           func(*setup) []string
	extra          func(*setup) error // what else it needs before its start
	note           string
}

var peers = []*peer{
	{name: "egress-proxy", variable: "EGRESS_PROXY", forward: true, conf: "routes.yaml",
		args: func(s *setup) []string {
			return []string{"-listen", s.Listen, "-routes", s.Dir + "/routes.yaml", "-ca-cert", s.Ours.CA, "-ca-key", s.Ours.CAKey,
				"-upstream-ca", s.Theirs.CA, "-allow-private", "127.0.0.0/8", "-allow-private", "::1/128",
				"-access-log", s.Dir + "/access.jsonl"}
		},
		note: "access log on"},
	{name: "nginx", variable: "NGINX", version: "-v", conf: "nginx.conf",
		args: func(s *setup) []string {
			return []string{"-p", s.Dir, "-c", s.Dir + "/nginx.conf", "-e", s.Dir + "/error.log"}
		},
		note: "a reverse proxy, TLS in and out: no CONNECT, nothing minted, one upstream for all names, no log"},
	{name: "squid", variable: "SQUID", version: "-v", forward: true, conf: "squid.conf",
		args:  func(s *setup) []string { return []string{"-N", "-f", s.Dir + "/squid.conf"} },
		extra: squidStore,
		note:  "ssl_bump, one worker, no cache, no log"},
	{name: "mitmdump", variable: "MITMDUMP", version: "--version", forward: true, conf: "addon.py",
		args: func(s *setup) []string {
			host, port, _ := net.SplitHostPort(s.Listen)
			return []string{"-q", "--listen-host", host, "-p", port, "--set", "confdir=" + s.Dir,
				"--set", "ssl_verify_upstream_trusted_ca=" + s.Theirs.CA, "--set", "flow_detail=0", "-s", s.Dir + "/addon.py"}
		},
		extra: mitmAuthority,
		note:  "an addon with an allowlist; large bodies and event streams pass through unbuffered"},
}

// find returns the path of the peer's program: the one given, else the one that
// its variable names, else one beside bench or on PATH.
func (p *peer) find(program string) (string, error) {
	if program == "" {
		program = os.Getenv(p.variable)
	}
	if program == "" {
		program = p.name
		if self, err := os.Executable(); err == nil && p.name == "egress-proxy" {
			if beside := filepath.Join(filepath.Dir(self), p.name); isFile(beside) {
				program = beside
			}
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s is not installed; %s=PATH names one", program, p.variable)
	}
	return filepath.Abs(path)
}

func isFile(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular()
}

// A setup is what the templates and arguments of a peer are made of.
type setup struct {
	*world
	Program, Dir string // the target's folder, emptied before each start
	Listen       string // HOST:PORT
	Root         string // of a package that was unpacked and not installed, else ""
	Cores, Files int
	Token, User  string // the user that squid becomes, "" where the run is not root's
	Helpers      string // squid's folder of helper programs
}

func newSetup(w *world, name, program string) (setup, error) {
	port, err := freePort()
	if err != nil {
		return setup{}, err
	}
	s := setup{world: w, Program: program, Dir: filepath.Join(w.Run, name), Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Cores: runtime.NumCPU(), Files: 4096, Token: token}
	if i := strings.LastIndex(program, "/usr/"); i > 0 {
		s.Root = program[:i]
	}
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) == nil {
		s.Files = int(min(r.Cur, 20000))
	}
	if os.Geteuid() == 0 {
		s.User = "nobody"
	}
	if name == "squid" {
		s.Helpers, err = squidHelpers(&s)
	}
	return s, err
}

// run runs a program to its end, as the target's would be.
func (s *setup) run(program string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), s.env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %v: %s", filepath.Base(program), err, bytes.TrimSpace(out))
	}
	return out, err
}

// env lets a program find what was unpacked beside it.
func (s *setup) env() []string {
	env := []string{"EGRESS_PROXY_TOKEN_0=" + s.Token}
	if s.Root != "" {
		libs, _ := filepath.Glob(s.Root + "/usr/lib/*-linux-gnu")
		env = append(env, "LD_LIBRARY_PATH="+strings.Join(libs, ":"), "PYTHONPATH="+s.Root+"/usr/lib/python3/dist-packages")
	}
	return env
}

// prepare empties the folder and writes the configuration.
func (p *peer) prepare(s *setup) error {
	if err := os.RemoveAll(s.Dir); err != nil {
		return err
	}
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		return err
	}
	t, err := template.ParseFS(conf, "conf/"+p.conf)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, s); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, p.conf), text.Bytes(), 0o644); err != nil {
		return err
	}
	if p.extra == nil {
		return nil
	}
	return p.extra(s)
}

// mitmAuthority writes the authority as mitmproxy wants it: key and certificate
// in one file.
func mitmAuthority(s *setup) error {
	key, err := os.ReadFile(s.Ours.CAKey)
	if err != nil {
		return err
	}
	cert, err := os.ReadFile(s.Ours.CA)
	if err != nil {
		return err
	}
	return os.WriteFile(s.Dir+"/mitmproxy-ca.pem", append(key, cert...), 0o600)
}
