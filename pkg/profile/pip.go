package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bottle/pkg/route"
)

// Python packages have a public index, which the profile pypi has in its table.
// Whoever has a mirror has named it to pip, and the mirror is meant then. The
// configuration is read here and not asked for: pip takes half a second.

// pipIndexes are the addresses that pip is configured with, of the operator's
// configuration and variables: index takes the place of the public index, extra
// are beside it (https://pip.pypa.io/en/stable/topics/configuration/).
func pipIndexes(getenv func(string) string) (index string, extra []string, err error) {
	set := map[string]string{}
	own := getenv("PIP_CONFIG_FILE")
	if own != os.DevNull { // which is how pip is told to read none
		for _, name := range append(pipFiles(getenv), own) {
			if err := readPip(set, name); err != nil {
				return "", nil, err
			}
		}
	}
	for key, variable := range map[string]string{"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL"} {
		if v := getenv(variable); v != "" {
			set[key] = v
		}
	}
	return strings.TrimSpace(set["index-url"]), strings.Fields(set["extra-index-url"]), nil
}

// pipFiles are pip's files, those that go before others last.
func pipFiles(getenv func(string) string) []string {
	files := []string{"/etc/xdg/pip/pip.conf", "/etc/pip.conf"}
	home := getenv("HOME")
	if home == "" {
		return files
	}
	config := getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	return append(files, filepath.Join(home, ".pip/pip.conf"), filepath.Join(config, "pip/pip.conf"))
}

// readPip reads the sections global and install of a file: "key = value", which may
// go on in lines that begin with a space.
func readPip(set map[string]string, name string) error {
	data, err := os.ReadFile(name)
	if name == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	section, key := "", ""
	for line := range strings.Lines(string(data)) {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";"):
			continue
		case strings.HasPrefix(text, "["):
			section, key = strings.Trim(text, "[]"), ""
			continue
		case section != "global" && section != "install":
			continue
		case strings.TrimLeft(line, " \t") != line:
			if key != "" {
				set[key] += " " + text
			}
			continue
		}
		i := strings.IndexAny(text, "=:")
		if i < 0 {
			key = ""
			continue
		}
		key = strings.ReplaceAll(strings.TrimSpace(text[:i]), "_", "-")
		set[key] = strings.TrimSpace(text[i+1:])
	}
	return nil
}

// pypiText is the public table, or the indexes that pip is configured with, or both
// where they are further ones.
func pypiText(public []byte) ([]byte, error) {
	const hint = "\nhint: leave the profile out, and write its hosts into egress.allowlist"
	index, extra, err := pipIndexes(os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("profile pypi: %w"+hint, err)
	}
	t, err := route.Parse("pypi", public)
	if err != nil {
		return nil, err
	}
	routes, err := reading(beside(append(extra, index)))
	if err != nil {
		return nil, fmt.Errorf("profile pypi: pip's configuration: %w"+hint, err)
	}
	of := func(r route.Route) bool {
		return slices.ContainsFunc(t.Routes, func(o route.Route) bool { return o.Host == r.Host })
	}
	asked := index == "" || slices.ContainsFunc(routes, of) // the public one, under its own name
	if routes = slices.DeleteFunc(routes, of); len(routes) == 0 {
		return public, nil
	}
	if asked {
		routes = append(slices.Clone(t.Routes), routes...)
	}
	if t, err = route.New(routes); err != nil {
		return nil, fmt.Errorf("profile pypi: pip's configuration: %w"+hint, err)
	}
	return fmt.Appendf(nil, "# pypi: the hosts of this machine's configuration, to read.\n# Source: pip's index-url and extra-index-url\n%s", t.Encode()), nil
}

// beside are the folders that indexes are in: the files lie beside an index, which
// most mirrors have below /simple.
func beside(indexes []string) (list []string) {
	for _, a := range indexes {
		if a != "" {
			list = append(list, strings.TrimSuffix(strings.TrimRight(a, "/"), "/simple"))
		}
	}
	return list
}
