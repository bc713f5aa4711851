package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A standin is one of the known agents as far as a bottle meets it: what it reads
// at its start, what it would ask its user or dial without it, how it sends its
// credential, and how it finds its tools. It does not start where the real one
// would ask something.
type standin struct {
	api, header, credential string
	mcp                     []string // the command of the MCP server superviser
}

var standins = map[string]func(home, work string) (standin, error){"claude": claude, "codex": codex, "gemini": gemini}

// agent asks its API, proposes a host, waits for the operator, and asks that host.
func agent(name string) error {
	work, err := os.Getwd()
	if err != nil {
		return err
	}
	s, err := standins[name](os.Getenv("HOME"), work)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := s.ask(); err != nil {
		return err
	}
	answer, err := propose(s.mcp)
	if err != nil {
		return err
	}
	fmt.Println(answer)
	resp, err := http.Get("https://new.test/")
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%d %s", resp.StatusCode, body)
	return err
}

// ask tries for a while, as they all do.
func (s standin) ask() error {
	for late := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequest("GET", s.api, nil)
		if err != nil {
			return err
		}
		req.Header.Set(s.header, s.credential)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		if time.Now().After(late) {
			return fmt.Errorf("GET %s: %w", s.api, err)
		}
	}
}

func claude(home, work string) (s standin, err error) {
	var state struct {
		HasCompletedOnboarding bool
		Theme                  string
		CustomAPIKeyResponses  struct{ Approved []string }
		Projects               map[string]struct{ HasTrustDialogAccepted bool }
		MCPServers             map[string]struct {
			Command string
			Args    []string
		}
	}
	var settings struct{ Permissions struct{ Allow []string } }
	if err := errors.Join(read(home, ".claude.json", &state), read(home, ".claude/settings.json", &settings)); err != nil {
		return s, err
	}
	server := state.MCPServers["superviser"]
	s = standin{api: "https://api.anthropic.com/v1/models", header: "Authorization", credential: "Bearer " + os.Getenv("CLAUDE_CODE_OAUTH_TOKEN"), mcp: append([]string{server.Command}, server.Args...)}
	key := os.Getenv("ANTHROPIC_API_KEY")
	switch {
	case !state.HasCompletedOnboarding || state.Theme == "":
		return s, errors.New("asks for a theme, and dials platform.claude.com")
	case !state.Projects[work].HasTrustDialogAccepted:
		return s, errors.New("asks whether this folder is trusted")
	case !slices.Contains(settings.Permissions.Allow, "mcp__superviser"):
		return s, errors.New("asks whether the tool may be called")
	case s.credential == "Bearer " && key == "":
		return s, errors.New("not logged in")
	case os.Getenv("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC") == "" || os.Getenv("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL") == "":
		return s, errors.New("dials hosts that are not the API's")
	case os.Getenv("MCP_CONNECTION_NONBLOCKING") != "0":
		return s, errors.New("begins before its tools are there")
	}
	if s.credential == "Bearer " {
		if !slices.Contains(state.CustomAPIKeyResponses.Approved, key[max(0, len(key)-20):]) {
			return s, errors.New("asks whether this key may be used")
		}
		s.header, s.credential = "X-Api-Key", key
	}
	return s, nil
}

// codex reads TOML, of which its file has lines alone.
func codex(home, work string) (s standin, err error) {
	var auth map[string]string
	text, err := os.ReadFile(filepath.Join(home, ".codex/config.toml"))
	if err := errors.Join(err, read(home, ".codex/auth.json", &auth)); err != nil {
		return s, err
	}
	config, section := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, " = "); ok {
			config[section+key] = value
		} else if section = strings.TrimSuffix(strings.TrimPrefix(line, "["), "]") + "."; !strings.HasPrefix(line, "[") {
			return s, fmt.Errorf("config.toml: %q", line)
		}
	}
	s = standin{api: "https://api.openai.com/v1/models", header: "Authorization", credential: "Bearer " + auth["OPENAI_API_KEY"]}
	for _, word := range regexp.MustCompile(`"[^"]*"`).FindAllString(config["mcp_servers.superviser.command"]+config["mcp_servers.superviser.args"], -1) {
		s.mcp = append(s.mcp, strings.Trim(word, `"`))
	}
	for key, want := range map[string]string{`projects."` + work + `".trust_level`: `"trusted"`, "sandbox_mode": `"danger-full-access"`,
		"features.plugins": "false", "features.apps": "false", "features.api_key_model_discovery": "false", "analytics.enabled": "false",
		"check_for_update_on_startup": "false", "mcp_servers.superviser.default_tools_approval_mode": `"approve"`} {
		if config[key] != want {
			return s, fmt.Errorf("%s is %q; wanted %s", key, config[key], want)
		}
	}
	return s, nil
}

func gemini(home, work string) (s standin, err error) {
	var settings struct {
		Privacy    struct{ UsageStatisticsEnabled *bool }
		Security   struct{ Auth struct{ SelectedType string } }
		MCPServers map[string]struct {
			Command string
			Args    []string
			Trust   bool
		}
	}
	var trusted map[string]string
	if err := errors.Join(read(home, ".gemini/settings.json", &settings), read(home, ".gemini/trustedFolders.json", &trusted)); err != nil {
		return s, err
	}
	server, usage := settings.MCPServers["superviser"], settings.Privacy.UsageStatisticsEnabled
	switch {
	case settings.Security.Auth.SelectedType != "gemini-api-key" || os.Getenv("GEMINI_API_KEY") == "":
		return s, errors.New("asks how to log in")
	case trusted[work] != "TRUST_FOLDER":
		return s, errors.New("asks whether this folder is trusted")
	case !server.Trust:
		return s, errors.New("asks whether the tool may be called")
	case usage == nil || *usage:
		return s, errors.New("dials hosts that are not the API's")
	}
	return standin{api: "https://generativelanguage.googleapis.com/v1beta/models", header: "X-Goog-Api-Key", credential: os.Getenv("GEMINI_API_KEY"), mcp: append([]string{server.Command}, server.Args...)}, nil
}

func read(home, name string, v any) error {
	data, err := os.ReadFile(filepath.Join(home, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// propose calls the tool, and returns the text of its answer.
func propose(server []string) (string, error) {
	cmd := exec.Command(server[0], server[1:]...)
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
	io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"standin","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"egress-proxy-block","arguments":{"host":"new.test","justification":"the model wants it"}}}
`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var m struct {
			ID     int
			Error  struct{ Message string }
			Result struct{ Content []struct{ Text string } }
		}
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.ID == 2 {
			for _, c := range m.Result.Content {
				return c.Text, nil
			}
			return "", errors.New(cmp.Or(m.Error.Message, "an answer without a text"))
		}
	}
	return "", errors.New("the MCP server went away")
}
