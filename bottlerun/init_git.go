package main

import (
	"cmp"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"bottle/pkg/bottle"
	"bottle/pkg/route"
)

// A remote is where the project's git repository is kept.
type remote struct {
	host string
	path string // /OWNER/NAME, without .git
	port string // of https; "" for its own
	// ssh are beginnings of ssh URLs, up to the path, that are asked over https
	// instead: as the remote is spelled, and the spellings that others have of the
	// same, as submodules may.
	ssh []string
}

// how says what becomes of the URL.
func (r *remote) how() string {
	if r.ssh != nil {
		return " over https, instead of ssh"
	}
	return ""
}

// findRemotes asks git for the project's remotes, and takes origin before others.
// One that no route can name is left out, and said.
func (f *found) findRemotes(work string) {
	git, err := lookPath("git", f.getenv)
	if err != nil {
		return
	}
	cmd := exec.Command(git, "-C", work, "config", "--no-includes", "--null", "--get-regexp", `^remote\..*\.(url|pushurl)$`)
	cmd.Dir = "/" // as for profiles: what git stands for may be chosen by files of the folder
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(work), "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.Output()
	if err != nil { // no repository, or none with a remote
		f.leaveForeign(work)
		return
	}
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		key, address, _ := strings.Cut(entry, "\n")
		name := strings.TrimPrefix(key[:strings.LastIndexByte(key, '.')], "remote.")
		r, why := parseRemote(address)
		switch {
		case why != "":
			f.left = append(f.left, "git remote "+name+": "+why)
		case name == "origin":
			f.remotes = slices.Insert(f.remotes, 0, r)
		default:
			f.remotes = append(f.remotes, r)
		}
	}
}

// leaveForeign: of a repository of another user's git tells nothing, and does not say
// so (git-config(1), safe.directory).
func (f *found) leaveForeign(work string) {
	fi, err := os.Lstat(filepath.Join(work, ".git"))
	if err != nil {
		return
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		f.left = append(f.left, "git's remotes: git may not read a repository of another user's; run init as its owner, or see safe.directory in git-config(1)")
	}
}

// parseRemote reads the forms of git-clone(1), "GIT URLS". A user and password of
// https are dropped: they are not for a file.
func parseRemote(s string) (r *remote, why string) {
	r = &remote{}
	var path, user string
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		r.host, path, user = u.Hostname(), u.EscapedPath(), u.User.Username()
		_, secret := u.User.Password()
		switch {
		case u.Scheme == "https":
			r.port = u.Port()
		case secret:
			return nil, "an ssh address with a password in it"
		case u.Scheme == "ssh", u.Scheme == "git+ssh", u.Scheme == "ssh+git":
			r.ssh = []string{strings.TrimSuffix(s, path) + "/"}
		default:
			return nil, u.Scheme + " is neither https nor ssh"
		}
	} else if before, after, ok := strings.Cut(s, ":"); ok && !strings.Contains(before, "/") {
		user, r.host, ok = strings.Cut(before, "@")
		if !ok {
			user, r.host = "", before
		}
		path = strings.TrimLeft(after, "/")
		r.ssh = []string{strings.TrimSuffix(s, path)}
	} else {
		return nil, "a folder of this machine, which the bottle does not show"
	}
	host, err := route.CanonicalHost(r.host)
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if err != nil || path == "" || !strings.Contains(host, ".") {
		return nil, "no host that a route can name (an alias of ssh's configuration?)"
	}
	if r.ssh != nil && user != "" {
		for _, other := range []string{user + "@" + r.host + ":", "ssh://" + user + "@" + r.host + "/"} {
			if !slices.Contains(r.ssh, other) {
				r.ssh = append(r.ssh, other)
			}
		}
	}
	r.host, r.path = host, "/"+path
	return r, r.unnamable()
}

// unnamable is why no route can have the remote's path or port; "" when one can.
func (r *remote) unnamable() string {
	named := route.Route{Host: r.host, PathAllowlist: []string{r.path}}
	if r.port != "" {
		port, err := strconv.Atoi(r.port)
		if err != nil {
			return err.Error()
		}
		named.Ports = []int{port}
	}
	if _, err := route.New([]route.Route{named}); err != nil {
		return err.Error()
	}
	return ""
}

// instead are git's settings by which what begins as ssh is asked over https.
func (f *found) instead() (vars []bottle.Var) {
	set := map[string]bool{}
	for _, r := range f.remotes {
		for _, ssh := range r.ssh {
			if set[ssh] {
				continue
			}
			set[ssh] = true
			n := strconv.Itoa(len(set) - 1)
			vars = append(vars, bottle.Var{Name: "GIT_CONFIG_KEY_" + n, Value: "url.https://" + r.host + "/.insteadOf"},
				bottle.Var{Name: "GIT_CONFIG_VALUE_" + n, Value: ssh})
		}
	}
	if len(set) == 0 {
		return nil
	}
	return append([]bottle.Var{{Name: "GIT_CONFIG_COUNT", Value: strconv.Itoa(len(set))}}, vars...)
}

// writeGit writes a route for each host, with its repositories as paths.
func (f *found) writeGit(t *text) {
	var hosts []string
	paths, ports := map[string][]string{}, map[string][]string{}
	for _, r := range f.remotes {
		if f.from.names(r.host) {
			continue
		}
		if !slices.Contains(hosts, r.host) {
			hosts = append(hosts, r.host)
		}
		if p := quoted(r.path); !slices.Contains(paths[r.host], p) {
			paths[r.host] = append(paths[r.host], p, quoted(r.path+".git"))
		}
		if port := cmp.Or(r.port, "443"); !slices.Contains(ports[r.host], port) {
			ports[r.host] = append(ports[r.host], port)
		}
	}
	var given []string
	for _, host := range hosts {
		variable, user := credential(host, f.getenv)
		t.line("    # git, for what this repository's remotes are. With a credential a push is possible too.")
		t.line("    - host: %s", quoted(host))
		t.line("      path_allowlist: [%s]", strings.Join(paths[host], ", "))
		if !slices.Equal(ports[host], []string{"443"}) {
			t.line("      ports: [%s]", strings.Join(ports[host], ", "))
		}
		off := ""
		if f.getenv(variable) == "" || slices.Contains(given, variable) { // one host's is not another's
			off = "# "
		}
		given = append(given, variable)
		t.line("      %sauth_user: %s", off, user)
		t.line("      %sauth: {scheme: Basic, token_ref: %s}", off, variable)
	}
}

// credential is the operator's variable for the host, and the user that goes with
// a token in Basic authentication.
func credential(host string, getenv func(string) string) (variable, user string) {
	switch {
	case host == "github.com" && getenv("GITHUB_TOKEN") == "" && getenv("GH_TOKEN") != "":
		return "GH_TOKEN", "x-access-token"
	case host == "github.com":
		return "GITHUB_TOKEN", "x-access-token"
	case strings.Contains(host, "gitlab"):
		return "GITLAB_TOKEN", "oauth2"
	}
	return "GIT_TOKEN", "x-access-token"
}
