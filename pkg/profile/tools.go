package profile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"bottle/pkg/route"
)

// npm, go and debian have no host of their own here: whoever uses a private
// mirror has named it in the tool's configuration, and that is what is wanted.

// A tool reads the addresses that a tool fetches from, and says how it knows.
type tool func() (addresses []string, source string, err error)

var tools = map[string]tool{"npm": npm, "go": goProxies, "debian": aptSources}

// npm reads the registry, and those of scopes. Packages are GETs; publishing is a
// PUT, and "npm audit", a POST, is left out: npm install goes on without.
func npm() ([]string, string, error) {
	const source = "npm config list --json"
	out, err := ask(nil, "npm", "config", "list", "--json")
	if err != nil {
		return nil, source, err
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(out), &config); err != nil {
		return nil, source, errors.New(source + ": its answer is no JSON")
	}
	var addresses []string
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if s, ok := config[key].(string); ok && (key == "registry" || strings.HasPrefix(key, "@") && strings.HasSuffix(key, ":registry")) {
			addresses = append(addresses, s)
		}
	}
	return addresses, source, nil
}

// goProxies reads the module proxies and the checksum database.
func goProxies() ([]string, string, error) {
	out, err := ask(nil, "go", "env", "GOPROXY", "GOSUMDB")
	if err != nil {
		return nil, "", err
	}
	proxies, sumdb, _ := strings.Cut(out, "\n")
	// Elements are separated by commas or bars; direct and off are no addresses
	// (https://go.dev/ref/mod#environment-variables).
	list := strings.FieldsFunc(proxies, func(r rune) bool { return r == ',' || r == '|' })
	list = slices.DeleteFunc(list, func(s string) bool { s = strings.TrimSpace(s); return s == "" || s == "direct" || s == "off" })
	return append(list, sumAddress(sumdb)...), "go env GOPROXY GOSUMDB", nil
}

// sumAddress is where the database of GOSUMDB is: "NAME[+KEY] [URL]", or off.
func sumAddress(s string) []string {
	f := strings.Fields(s)
	switch {
	case len(f) == 0 || f[0] == "off":
		return nil
	case len(f) > 1:
		return f[1:2]
	}
	name, _, _ := strings.Cut(f[0], "+")
	return []string{"https://" + name}
}

// aptSources reads the archives of apt's sources, in whichever format they are, as
// apt itself understands them: what an update would fetch. Nothing is fetched.
func aptSources() ([]string, string, error) {
	const source = "apt-get update --print-uris"
	out, err := ask(nil, "apt-get", "update", "--print-uris")
	if err != nil {
		return nil, source, err
	}
	var addresses []string
	for line := range strings.Lines(out) {
		uri, _, _ := strings.Cut(strings.TrimPrefix(line, "'"), "'")
		archive, _, ok := strings.Cut(uri, "/dists/")
		if !ok { // a flat one has its files beside each other
			archive = strings.TrimSuffix(uri[:max(0, strings.LastIndexByte(uri, '/'))], "/.")
		}
		list, err := mirrors(archive)
		if err != nil {
			return nil, source, err
		}
		addresses = append(addresses, list...)
	}
	return addresses, source, nil
}

// mirrors are the archives of a list of them, "mirror+file:PATH": an address first
// in each line (apt-transport-mirror(1)).
func mirrors(address string) ([]string, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch {
	case scheme != "mirror" && !strings.HasPrefix(scheme, "mirror+"):
		return []string{address}, nil
	case scheme != "mirror+file":
		return nil, fmt.Errorf("apt's %s: a list of mirrors that apt fetches, whose hosts are not known before; wanted mirror+file", scheme)
	}
	data, err := os.ReadFile(strings.TrimPrefix(rest, "//"))
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			list = append(list, f[0])
		}
	}
	return list, nil
}

// askTime is how long a tool may take for its answer.
const askTime = 10 * time.Second

// quiet has the tools answer and do nothing else: npm would ask for a newer version
// of itself and write a log, go fetch the toolchain that GOTOOLCHAIN names.
var quiet = []string{"npm_config_update_notifier=false", "npm_config_logs_max=0", "GOTOOLCHAIN=local"}

// ask runs a tool of the operator's. In / and not here: a project's own .npmrc is
// something that an earlier agent may have written. A nil env is the operator's.
func ask(env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = "/", env, time.Second
	cmd.Env = append(cmd.Environ(), quiet...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%s is not in PATH, and its configuration says which hosts are meant", name)
	case err != nil:
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("%s %s: %w %q", name, strings.Join(args, " "), err, first)
	}
	return string(out), nil
}

// toolText writes the table of what a tool's configuration names.
func toolText(name string, read tool) ([]byte, error) {
	const hint = "\nhint: leave the profile out, and write its hosts into egress.allowlist"
	addresses, source, err := read()
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w"+hint, name, err)
	}
	routes, err := reading(addresses)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %s: %w"+hint, name, source, err)
	}
	if len(routes) == 0 {
		return nil, fmt.Errorf("profile %s: %s names no host"+hint, name, source)
	}
	t, err := route.New(routes)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %s: %w"+hint, name, source, err)
	}
	return fmt.Appendf(nil, "# %s: the hosts of this machine's configuration, to read.\n# Source: %s\n%s", name, source, t.Encode()), nil
}

// reading makes routes that read below each address.
func reading(addresses []string) ([]route.Route, error) {
	var routes []route.Route
	for _, a := range addresses {
		u, err := url.Parse(strings.TrimSpace(a))
		if err != nil {
			return nil, errors.New("an address that is none") // it may hold a password
		}
		if u.Scheme != "http" && u.Scheme != "https" {
			continue // file:, cdrom: and the like need no route
		}
		r := route.Route{Methods: []string{"GET", "HEAD"}}
		if r.Host, err = route.CanonicalHost(u.Hostname()); err != nil {
			return nil, err
		}
		if p := strings.Trim(u.Path, "/"); p != "" {
			r.PathAllowlist = []string{"/" + p}
		}
		if u.Port() != "" {
			port, err := strconv.Atoi(u.Port())
			if err != nil {
				return nil, err
			}
			r.Ports = []int{port}
		}
		routes = join(routes, r)
	}
	return routes, nil
}
