package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// superviserIn builds superviser into dir.
func superviserIn(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "superviser")
	build := exec.Command("go", "build", "-o", path, "./superviser")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// mcpCalls are one call of every tool, in an order in which each has a decent
// answer, and how that begins.
func mcpCalls(id string) []struct {
	tool string
	args map[string]any
	want string
	bad  bool
} {
	return []struct {
		tool string
		args map[string]any
		want string
		bad  bool
	}{
		{"egress-proxy-block", map[string]any{"host": "new.example", "justification": "to build"}, "pending: new.example", false},
		{"egress-proxy-block", map[string]any{"host": "https://new.example", "justification": "to build"}, "refused: ", true},
		{"pipelock-block", map[string]any{"host": "new.example", "justification": "blocked"}, "pending: new.example", false},
		{"capability-block", map[string]any{"dockerfile": "FROM a\nRUN b\n", "justification": "gcc"}, "pending: the image", false},
		{"list-egress-proxy-routes", map[string]any{}, "trouble: the routes cannot be read", true},
		{"proposal-status", map[string]any{"id": id}, "pending: new.example", false},
	}
}

// TestMCPClientOfGoSDK has the official client list and call every tool, in both
// eras of the protocol.
func TestMCPClientOfGoSDK(t *testing.T) {
	program := superviserIn(t, t.TempDir())
	for _, version := range []string{"2025-06-18", "2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM a\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program, "serve", "-queue", dir, "-wait", "0", "-dockerfile", filepath.Join(dir, "Dockerfile"))
			cmd.Stderr = os.Stderr
			client := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1"}, nil)
			session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			if got := session.InitializeResult().ProtocolVersion; got != version {
				t.Errorf("speaks %s, want %s", got, version)
			}
			list, err := session.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, tool := range list.Tools {
				names = append(names, tool.Name)
			}
			if want := []string{"egress-proxy-block", "pipelock-block", "capability-block", "list-egress-proxy-routes", "proposal-status"}; !slices.Equal(names, want) {
				t.Errorf("tools %q, want %q", names, want)
			}
			for _, c := range mcpCalls("0b27fe134f78-1") {
				r, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: c.tool, Arguments: c.args})
				if err != nil {
					t.Errorf("%s: %v", c.tool, err)
					continue
				}
				text, ok := r.Content[0].(*mcp.TextContent)
				if !ok || !strings.HasPrefix(text.Text, c.want) || r.IsError != c.bad {
					t.Errorf("%s: got %+v, %t; want %q", c.tool, r.Content[0], r.IsError, c.want)
				}
			}
			began := time.Now()
			if err := session.Close(); err != nil || time.Since(began) > 3*time.Second {
				t.Errorf("closed in %v: %v", time.Since(began), err)
			}
		})
	}
}
