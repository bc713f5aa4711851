package mcp

import (
	"encoding/json"
	"slices"
)

// The revisions of the protocol that are spoken.
const modernVersion = "2026-07-28"

var legacyVersions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// Keys of a modern request's _meta (2026-07-28, basic/index).
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaServer       = "io.modelcontextprotocol/serverInfo"
)

// listTTL is how long a client may keep a list, in milliseconds: the tools do
// not change while the program runs.
const listTTL = 3_600_000

// era is under which rules one request stands. A conversation may mix them:
// clients probe with server/discover and fall back to initialize.
type era struct {
	modern bool
	client string // the name in a modern request's clientInfo
	tasks  bool   // this request's client declares the tasks extension
}

// eraOf chooses the era by the keys of _meta and checks what the modern one
// requires of every request.
func eraOf(m message) (era, *rpcError) {
	raw, ok := m.params["_meta"]
	if !ok {
		return era{}, nil
	}
	meta, ok := member(m.params, "_meta")
	if !ok {
		return era{}, errorf(codeInvalidParams, "_meta is not an object: %.40q", raw)
	}
	_, v := meta[metaVersion]
	_, cap := meta[metaCapabilities]
	if !v && !cap {
		return era{}, nil
	}
	version, ok := text(meta, metaVersion)
	if !ok {
		return era{}, errorf(codeInvalidParams, "_meta has no string %s", metaVersion)
	}
	if version != modernVersion {
		bad := errorf(codeVersion, "unsupported protocol version")
		bad.Data = map[string]any{"supported": []string{modernVersion}, "requested": version}
		return era{}, bad
	}
	can, ok := member(meta, metaCapabilities)
	if !ok {
		return era{}, errorf(codeInvalidParams, "_meta has no object %s", metaCapabilities)
	}
	e, bad := modernClient(meta)
	if extensions, ok := member(can, "extensions"); ok {
		_, e.tasks = member(extensions, tasksExtension)
	}
	return e, bad
}

func modernClient(meta object) (era, *rpcError) {
	e := era{modern: true}
	if _, ok := meta[metaClient]; !ok {
		return e, nil
	}
	info, ok := member(meta, metaClient)
	if ok {
		e.client, ok = text(info, "name")
	}
	if !ok {
		return e, errorf(codeInvalidParams, "%s has no string name", metaClient)
	}
	return e, nil
}

// initialize is the legacy handshake. An unknown version is answered with our
// newest legacy one, and it is the client's choice to go on.
func (c *conversation) initialize(m message) *rpcError {
	version, ok := text(m.params, "protocolVersion")
	if !ok {
		return errorf(codeInvalidParams, "initialize has no string protocolVersion")
	}
	if _, ok := member(m.params, "capabilities"); !ok {
		return errorf(codeInvalidParams, "initialize has no object capabilities")
	}
	info, _ := member(m.params, "clientInfo")
	name, named := text(info, "name")
	if _, ok := text(info, "version"); !ok || !named {
		return errorf(codeInvalidParams, "initialize has no clientInfo with name and version")
	}
	if c.initialized {
		return errorf(codeInvalidRequest, "already initialized")
	}
	if !slices.Contains(legacyVersions, version) {
		version = legacyVersions[len(legacyVersions)-1]
	}
	c.initialized, c.client = true, name
	result := c.server.capabilities()
	result["protocolVersion"] = version
	result["serverInfo"] = c.server.info()
	c.sendResult(m.id, era{}, result)
	return nil
}

// capabilities is what both handshakes say: tools, and nothing that is not there.
func (s *Server) capabilities() map[string]any {
	result := map[string]any{"capabilities": map[string]any{"tools": map[string]any{}}}
	if s.Instructions != "" {
		result["instructions"] = s.Instructions
	}
	return result
}

func (s *Server) discovery() map[string]any {
	result := s.capabilities()
	if s.Task != nil {
		result["capabilities"].(map[string]any)["extensions"] = map[string]any{tasksExtension: map[string]any{}}
	}
	result["supportedVersions"] = []string{modernVersion}
	result["ttlMs"] = listTTL
	result["cacheScope"] = "public"
	return result
}

func (s *Server) info() map[string]string {
	info := map[string]string{"name": s.Name, "version": s.Version}
	if s.Title != "" {
		info["title"] = s.Title
	}
	return info
}

// finish adds to a result what its era wants in every one.
func (s *Server) finish(e era, result map[string]any) map[string]any {
	if e.modern {
		result["resultType"] = "complete"
		result["_meta"] = map[string]any{metaServer: s.info()}
	}
	return result
}

// list answers tools/list: one page.
func (c *conversation) list(m message, e era) *rpcError {
	if _, ok := m.params["cursor"]; ok {
		return errorf(codeInvalidParams, "unknown cursor; the list has one page")
	}
	result := map[string]any{"tools": c.server.listed()}
	if e.modern {
		result["ttlMs"] = listTTL
		result["cacheScope"] = "public"
	}
	c.sendResult(m.id, e, result)
	return nil
}

// listedTool is a Tool as tools/list shows it.
type listedTool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"inputSchema"`
	Annotations Annotations     `json:"annotations"`
}

func (s *Server) listed() []listedTool {
	list := make([]listedTool, 0, len(s.Tools))
	for _, t := range s.Tools {
		list = append(list, listedTool{t.Name, t.Title, t.Description, t.InputSchema, t.Annotations})
	}
	return list
}
