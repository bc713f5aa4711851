package main

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bottle/pkg/route"
)

// A remote is where the project's git repository is kept.
type remote struct {
	host   string
	path   string // /OWNER/NAME, without .git
	suffix string // .git, if the URL has it
	port   string
	ssh    string // the beginning of an ssh URL, up to the path; "" for https
}

// how says what becomes of the URL.
func (r *remote) how() string {
	if r.ssh != "" {
		return " over https, instead of ssh"
	}
	return ""
}

// remoteOf asks git for the project's remote, origin before others. No answer,
// or one that is no host's, is none.
func remoteOf(work string, getenv func(string) string) *remote {
	git, err := lookPath("git", getenv)
	if err != nil {
		return nil
	}
	cmd := exec.Command(git, "-C", work, "config", "--no-includes", "--get-regexp", `^remote\..*\.url$`)
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(work), "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	var first *remote
	for line := range strings.Lines(string(out)) {
		key, address, _ := strings.Cut(strings.TrimSpace(line), " ")
		r := parseRemote(address)
		if r != nil && (first == nil || key == "remote.origin.url") {
			first = r
		}
	}
	return first
}

// parseRemote reads the forms of git-clone(1), "GIT URLS". A user and password in
// it are dropped: they are not for a file.
func parseRemote(s string) *remote {
	r := &remote{}
	var path string
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		r.host, path, r.port = u.Hostname(), u.Path, u.Port()
		switch u.Scheme {
		case "https":
		case "ssh", "git+ssh", "ssh+git":
			r.port = "" // ssh's
			r.ssh = strings.TrimSuffix(s, path) + "/"
		default:
			return nil
		}
	} else if before, after, ok := strings.Cut(s, ":"); ok && !strings.Contains(before, "/") && !strings.HasPrefix(after, "/") {
		_, host, hasUser := strings.Cut(before, "@")
		if !hasUser {
			host = before
		}
		r.host, path, r.ssh = host, after, before+":"
	} else {
		return nil
	}
	host, err := route.CanonicalHost(r.host)
	path = strings.Trim(path, "/")
	if err != nil || path == "" || !strings.Contains(host, ".") {
		return nil // an alias of ssh's configuration has no dot
	}
	r.host = host
	if p, ok := strings.CutSuffix(path, ".git"); ok {
		path, r.suffix = p, ".git"
	}
	r.path = "/" + path
	return r
}

// credential is the operator's variable for the host, and the user that goes with
// a token in Basic authentication.
func (r *remote) credential(getenv func(string) string) (variable, user string) {
	switch {
	case r.host == "github.com" && getenv("GITHUB_TOKEN") == "" && getenv("GH_TOKEN") != "":
		return "GH_TOKEN", "x-access-token"
	case r.host == "github.com":
		return "GITHUB_TOKEN", "x-access-token"
	case strings.Contains(r.host, "gitlab"):
		return "GITLAB_TOKEN", "oauth2"
	}
	return "GIT_TOKEN", "x-access-token"
}
