package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
)

// envJail is no jail: the agent runs as the operator with the proxy variables
// set, on the operator's own streams.
type envJail struct {
	plan    *plan
	env     *cli.Env
	listens [2]*os.File // proxy, superviser
	url     string
	ctx     context.Context // of letGo
	cancel  func()
	cmd     *exec.Cmd
	done    <-chan error
}

// built has nothing to wait for.
func (j *envJail) built() error { return nil }

func (j *envJail) open() error {
	j.ctx, j.cancel = context.WithTimeout(context.Background(), healthTimeout)
	note(j.env, "WARNING: -backend env is NO sandbox. The agent can read your files and reach any host; only programs that honour the proxy variables use egress-proxy")
	return nil
}

func (j *envJail) begin(_, pem []byte) error {
	files, err := bottle.Files(j.plan.manifest, pem)
	if err != nil {
		return err
	}
	files[bundleName] = pem
	for name, data := range files {
		if err := atomicfile.Write(j.plan.dir.In(name), data, 0o600); err != nil {
			return err
		}
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer tcp.Close()
	j.url = "http://" + tcp.Addr().String()
	if j.listens[0], err = tcp.(*net.TCPListener).File(); err != nil {
		return err
	}
	path := j.plan.dir.In(socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	defer unix.Close()
	unix.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	j.listens[1], err = unix.File()
	return err
}

func (j *envJail) proxy() *os.File       { return j.listens[0] }
func (j *envJail) super() *os.File       { return j.listens[1] }
func (j *envJail) proxyURL() string      { return j.url }
func (j *envJail) gone() <-chan struct{} { return nil }
func (j *envJail) pid() int              { return j.cmd.Process.Pid }

// tested is nothing: there is nothing to hold.
func (j *envJail) tested() []sandbox.Trial { return nil }

func (j *envJail) letGo() error {
	if err := waitHealthy(j.ctx, j.url); err != nil {
		return err
	}
	env, err := j.plan.agentEnv(j.url)
	if err != nil {
		return err
	}
	name := j.plan.command[0]
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		name = filepath.Join(j.plan.work, name) // the agent starts in its workspace, as in a sandbox
	}
	path, err := lookPath(name, j.plan.getenv)
	if err != nil {
		return cli.Exit(127, err)
	}
	j.cmd = &exec.Cmd{Path: path, Args: j.plan.command, Env: env, Dir: j.plan.work, Stdin: j.env.Stdin}
	j.cmd.Stdout, j.cmd.Stderr = j.plan.back.streams(j.env)
	done, err := sandbox.StartTied(j.cmd)
	if err != nil {
		return cli.Exit(126, err)
	}
	j.done = done
	return nil
}

// healthTimeout is how long the proxy may take to serve.
const healthTimeout = 20 * time.Second

func waitHealthy(ctx context.Context, proxy string) error {
	u, err := url.Parse(proxy)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u), DisableKeepAlives: true}}
	return poll(ctx, func() error { return get(ctx, client, healthz) })
}

// poll tries until it works or ctx ends, then with the last error.
func poll(ctx context.Context, try func() error) error {
	pause := time.Millisecond
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause = min(2*pause, 100*time.Millisecond)
		}
	}
}

func get(ctx context.Context, client *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, res.Status)
	}
	return nil
}

// signal: what a terminal sends (INT, QUIT) has reached the agent already,
// which is in its foreground group as we are.
func (j *envJail) signal(sig os.Signal) error {
	if isTerminal(j.env.Stdin) && (sig == syscall.SIGINT || sig == syscall.SIGQUIT) {
		return nil
	}
	return j.cmd.Process.Signal(sig)
}

func (j *envJail) wait() (int, error) {
	err := <-j.done
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return sandbox.CannotStart, err
	}
	if ws, ok := j.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return j.cmd.ProcessState.ExitCode(), nil
}

func (j *envJail) kill() {
	j.cancel()
	if j.cmd != nil && j.cmd.Process != nil {
		j.cmd.Process.Kill()
	}
}

func (j *envJail) close() {
	j.cancel()
	for _, f := range j.listens {
		if f != nil {
			f.Close()
		}
	}
	os.Remove(j.plan.dir.In(socketName))
}
