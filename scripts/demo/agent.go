package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bottle/pkg/cli"
)

// agent is the story's agent. All it knows is its environment.
func agent(ctx context.Context, env *cli.Env) error {
	say := func(format string, args ...any) { fmt.Fprintf(env.Stdout, "agent: "+format+"\n", args...) }
	if os.Getenv("DEMO_BACKEND") != "env" {
		if err := onlyWayOut(); err != nil {
			return err
		}
		say("a connection that does not go through the proxy fails at once")
	}
	say("GET https://%s/me", host)
	status, body, err := fetch(ctx)
	if err != nil {
		return err
	}
	say("%d\n%s", status, indent(body))
	if status != 403 || !strings.HasPrefix(body, "egress-proxy: host '"+host+"' is not in the bottle's egress_proxy.routes allowlist\n") {
		return errors.New("wanted a 403 of the proxy's")
	}
	say("tools/call egress-proxy-block, and wait for the operator")
	answer, err := propose(ctx)
	if err != nil {
		return err
	}
	say("the tool answers:\n%s", indent(answer))
	if !strings.HasPrefix(answer, "approved") {
		return errors.New("wanted an approval")
	}
	say("GET https://%s/me, once more", host)
	if status, body, err = fetch(ctx); err != nil {
		return err
	}
	say("%d\n%s", status, indent(body))
	if status != 200 {
		return errors.New("wanted an answer of the origin's")
	}
	places, err := search()
	if err != nil {
		return err
	}
	say("looked for the credential in %s: not there", places)
	return nil
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
}

// fetch asks for the page as any Go program does: the proxy and the authority
// come from the environment.
func fetch(ctx context.Context) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "https://"+host+"/me", nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// onlyWayOut checks that nothing leaves the bottle but through the proxy.
func onlyWayOut() error {
	start := time.Now()
	c, err := net.DialTimeout("tcp", "192.0.2.1:443", 3*time.Second) // TEST-NET-1, RFC 5737
	if err == nil {
		c.Close()
		return errors.New("a connection to 192.0.2.1:443 was made")
	}
	if time.Since(start) > time.Second {
		return fmt.Errorf("a connection to 192.0.2.1:443 failed only after %v", time.Since(start))
	}
	return nil
}

// propose talks MCP to the superviser as an agent's client does.
func propose(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "superviser", "connect")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer cmd.Wait()
	defer in.Close()
	io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"egress-proxy-block","arguments":{"host":"`+host+`","path_allowlist":["/me"],"auth":{"scheme":"Bearer","token_ref":"DEMO_TOKEN"},"justification":"to read my profile"}}}
`)
	return toolAnswer(out)
}

// toolAnswer is the text of the answer to request 2.
func toolAnswer(r io.Reader) (string, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var m struct {
			ID     int
			Error  json.RawMessage
			Result struct{ Content []struct{ Text string } }
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.ID != 2 {
			continue
		}
		if len(m.Result.Content) == 0 {
			return "", fmt.Errorf("the tool answers %s", lines.Bytes())
		}
		return m.Result.Content[0].Text, nil
	}
	return "", errors.New("the superviser went away")
}

// search looks for the credential wherever the agent could have it from: its
// environment and the files that are the bottle's.
func search() (string, error) {
	mark := []byte(tokenMark())
	for _, e := range os.Environ() {
		if strings.Contains(e, string(mark)) {
			return "", errors.New("the credential is in the environment")
		}
	}
	work, err := os.Getwd()
	if err != nil {
		return "", err
	}
	places := []string{work, "/proc/self/cmdline", "/proc/1/environ", "/proc/1/cmdline"}
	if os.Getenv("DEMO_BACKEND") != "env" {
		places = append(places, "/tmp", "/run", "/dev/shm", "/etc", os.Getenv("HOME"))
	}
	for _, dir := range places {
		if err := searchIn(dir, mark); err != nil {
			return "", err
		}
	}
	return "its environment, " + strings.Join(places, ", "), nil
}

func searchIn(dir string, mark []byte) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // what the agent cannot read tells it nothing
		}
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, mark) {
			return fmt.Errorf("the credential is in %s", path)
		}
		return nil
	})
}
