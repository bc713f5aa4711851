package scripts

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// notAllowed is the first line of the proxy's refusal.
func notAllowed(host string) string {
	return "egress-proxy: host '" + host + "' is not in the bottle's egress_proxy.routes allowlist"
}

// missing is what a script exits with when its client is not installed.
const missing = 77

// TestClients has clients that know nothing of bottles fetch from a host that is
// allowed, and from one that is not: HOST in the script.
func TestClients(t *testing.T) {
	const python = `import sys, urllib.request, urllib.error
try: print(urllib.request.urlopen("https://HOST/").read().decode())
except urllib.error.HTTPError as e: sys.exit("%d %s" % (e.code, e.read().decode()))`
	clients := []client{
		{"curl http1.1", "curl", "curl -sS --fail-with-body --http1.1 -w '%{http_version}' https://HOST/", "hello from allowed.test\n1.1"},
		{"curl http2", "curl", "curl -sS --fail-with-body --http2 -w '%{http_version}' https://HOST/", "hello from allowed.test\n2"},
		{"git", "git", "rm -rf clone && git clone -q https://HOST/git/repo.git clone && cat clone/file && git -C clone log --format=%s", "a file by way of the proxy\none\n"},
		{"python", "/usr/bin/python3", "/usr/bin/python3 -c '" + python + "'", "hello from allowed.test\n"},
		// The name of the module is allowed.test's in both cases.
		{"go", "go", `export GOPROXY=https://HOST/goproxy GONOSUMDB=* GONOSUMCHECK=1 GOFLAGS=-mod=mod GOTOOLCHAIN=local
			mkdir -p go && cd go && printf 'module m\n\nrequire allowed.test/tiny v1.2.3\n' >go.mod &&
			go mod download && cat "$(go env GOMODCACHE)"/allowed.test/tiny@v1.2.3/tiny.go`, "a module by way of the proxy"},
	}
	asEach(t, func(t *testing.T, op *operator) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				op.with(t).tries(c)
			})
		}
		for _, r := range op.origin.requests() {
			if strings.Contains(r, " refused.test ") {
				t.Errorf("the origin got %s", r)
			}
		}
	})
}

// A client is a program that people have, and what it prints of an allowed host.
type client struct{ name, program, script, want string }

// tries runs the script in a bottle, for a host that is allowed and for one that
// is not.
func (op *operator) tries(c client) {
	t := op.t
	t.Helper()
	have := "command -v " + c.program + " >/dev/null || exit 77\n"
	r := op.inside(have + strings.ReplaceAll(c.script, "HOST", "allowed.test"))
	if r.code == missing {
		t.Skipf("%s is not installed where a bottle sees it, or not with what this needs", c.program)
	}
	if r.code != 0 || !strings.Contains(r.out, c.want) {
		t.Errorf("an allowed host: wanted %q; got %v", c.want, r)
	}
	r = op.inside(have + strings.ReplaceAll(c.script, "HOST", "refused.test"))
	if r.code == 0 || !strings.Contains(r.out+r.errors, notAllowed("refused.test")) {
		t.Errorf("another host: wanted the proxy's refusal; got %v", r)
	}
}

// TestPush has git push through the proxy, which adds the credential that the
// bottle has for it.
func TestPush(t *testing.T) {
	op := asSelf(t)
	op.env = append(op.env, "GIT_TOKEN=token-of-git")
	op.allow("", "  routes: [{host: allowed.test, path_allowlist: [/git/repo.git], auth: {scheme: Basic, token_ref: GIT_TOKEN}, auth_user: x-access-token}]\n")
	r := op.inside(`command -v git >/dev/null || exit 77
		export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
		git clone -q https://allowed.test/git/repo.git push && cd push && echo two >>file && git commit -q -a -m two && git push -q && git ls-remote . origin/HEAD
		env | grep token-of-git; exit 0`)
	if r.code == missing {
		t.Skip("git is not installed")
	}
	if r.code != 0 || strings.Contains(r.out, "token-of-git") {
		t.Errorf("got %v", r)
	}
	const basic = "Basic eC1hY2Nlc3MtdG9rZW46dG9rZW4tb2YtZ2l0" // x-access-token:token-of-git
	pushed := false
	for _, got := range op.origin.requests() {
		pushed = pushed || got == "POST allowed.test /git/repo.git/git-receive-pack "+basic
		if !strings.HasSuffix(got, basic) {
			t.Errorf("the origin got no credential: %s", got)
		}
	}
	if !pushed {
		t.Errorf("nothing was pushed: %q\n%v", op.origin.requests(), r)
	}
}

// TestSSHRemote: a project whose remote is one of ssh works as it is, by the
// manifest that init writes; so do the other spelling and a submodule's.
func TestSSHRemote(t *testing.T) {
	op := asSelf(t)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.SysProcAttr = op.work, credential(op.uid)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	git("init", "-q")
	git("remote", "add", "origin", "git@allowed.test:git/repo.git")
	op.env = append(op.env, "GIT_TOKEN=token-of-git")
	op.must("bottlerun", "init", "-dir", op.work)
	op.manifest = filepath.Join(op.work, "bottle.yaml")
	op.amend("upstream_ca: ../../origin-ca.pem\n  allow_private: [127.0.0.0/8]", "pipelock: off", "pipelock: {program: "+filepath.Join(op.home, "pipelock")+"}")
	r := op.inside(`git fetch -q && git show FETCH_HEAD:file && git remote get-url origin && cd /tmp &&
		git clone -q git@allowed.test:git/repo.git scp && git clone -q ssh://git@allowed.test/git/repo.git url && cat url/file &&
		git ls-remote git@refused.test:git/repo.git`)
	const file = "a file by way of the proxy\n"
	if r.code == 0 || r.out != file+"https://allowed.test/git/repo.git\n"+file || !strings.Contains(r.errors, "ssh") {
		t.Errorf("got %v", r)
	}
	for _, got := range op.origin.requests() {
		if !strings.Contains(got, " allowed.test /git/repo.git/") || !strings.HasSuffix(got, " Basic eC1hY2Nlc3MtdG9rZW46dG9rZW4tb2YtZ2l0") {
			t.Errorf("the origin got %s", got)
		}
	}
}

// TestDirect: without a second proxy the proxy dials by itself, and internal
// addresses only where the manifest says so.
func TestDirect(t *testing.T) {
	needCurl(t)
	op := asSelf(t)
	_, port, _ := strings.Cut(op.origin.addr, ":")
	get := "curl -sS --noproxy '' -o - -w ' %{http_code}' https://127.0.0.1:" + port + "/"
	const manifest = "workspace: src/project\negress_proxy:\n  upstream_ca: origin-ca.pem\n"
	routes := "  routes: [{host: 127.0.0.1, ports: [" + port + "]}]\n"
	op.write(op.manifest, manifest+routes+"  allow_private: [127.0.0.0/8]\n", 0o644)
	if r := op.inside(get); r.code != 0 || r.out != "hello from 127.0.0.1:"+port+"\n 200" {
		t.Errorf("allowed: %v", r)
	}
	op.write(op.manifest, manifest+routes, 0o644)
	if r := op.inside(get); r.code != 0 || !strings.HasPrefix(r.out, "egress-proxy: the name resolves to the internal address 127.0.0.1") || !strings.HasSuffix(r.out, " 403") {
		t.Errorf("an internal address: %v", r)
	}
	op.write(op.manifest, manifest+"  allow_private: [127.0.0.0/8]\n", 0o644)
	if r := op.inside(get); r.code != 0 || !strings.HasPrefix(r.out, notAllowed("127.0.0.1")) || !strings.HasSuffix(r.out, " 403") {
		t.Errorf("no route: %v", r)
	}
	if got := op.origin.requests(); len(got) != 1 {
		t.Errorf("the origin got %q", got)
	}
}
