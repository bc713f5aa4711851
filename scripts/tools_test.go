package scripts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A tool is what an agent works with, and a script that uses it as people do.
type tool struct{ name, script, want string }

var tools = []tool{
	{"bash", `bash -c '
		cat <(echo substituted) - <<<"a here-string"
		cat <<END
$(seq 20000 | tail -1) lines of a here-document
END
		seq 20000 | tee >(tail -1 >out) >/dev/null; while ! [ -s out ]; do sleep 0.01; done; cat out
		set -m; (exit 7) & wait %1 2>/dev/null; echo job $?
		coproc cat; echo through a coprocess >&${COPROC[1]}; read -r line <&${COPROC[0]}; echo "$line"'`,
		"substituted\na here-string\n20000 lines of a here-document\n20000\njob 7\nthrough a coprocess\n"},
	{"git", `export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
		git status --porcelain && echo more >>README && git commit -qam two && git log --format=%s && git checkout -q -b side && git stash list &&
		git clone -q https://allowed.test/git/repo.git /tmp/clone && cd /tmp/clone && echo mine >mine && git add mine && git commit -qm mine &&
		git log --format=%s && git diff HEAD^ --stat && git status --porcelain && git worktree add -q ../tree && git -C ../tree status --porcelain`,
		"two\none\nmine\none\n mine | 1 +\n 1 file changed, 1 insertion(+)\n"},
	{"python3", `cat >p.py <<'END'
import multiprocessing, sys, urllib.request
if __name__ == "__main__":
    with multiprocessing.Pool(2) as p: print(sum(p.map(abs, [-1, -2])))
    print(urllib.request.urlopen("https://allowed.test/").read().decode(), end="")
    print(sys.prefix != sys.base_prefix)
END
		/usr/bin/python3 -m venv --without-pip venv && venv/bin/python p.py
		/usr/bin/python3 -u -m http.server --bind 127.0.0.1 8000 >log 2>&1 & p=$!
		while ! grep -q Serving log; do kill -0 $p || exit; sleep 0.01; done
		/usr/bin/python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:8000/README").read().decode(), end="")'; kill $p`,
		"3\nhello from allowed.test\nTrue\nthe project\n"},
	{"node", `node -e 'const http = require("http"), { execSync } = require("child_process"), { Worker } = require("worker_threads");
		http.createServer((q, r) => r.end("served inside")).listen(0, "127.0.0.1", function () {
			http.get({ host: "127.0.0.1", port: this.address().port }, r => r.on("data", d => {
				console.log("" + d, Object.keys(require("os").networkInterfaces()).join(), ("" + execSync("echo child")).trim());
				new Worker("require(\"worker_threads\").parentPort.postMessage(\"worker\")", { eval: true }).on("message", m => { console.log(m); process.exit() })
			})) })'`,
		"served inside lo child\nworker\n"},
	{"npm", `mkdir app && cd app && echo 'console.log(require("tiny"), require("fs").readFileSync("node_modules/tiny/made", "utf8"))' >hello.js
		echo '{"name":"app","version":"1.0.0","scripts":{"hello":"node hello.js"}}' >package.json
		npm install --silent --no-audit --no-fund --foreground-scripts --registry https://allowed.test/npm/ tiny && npm run --silent hello`,
		"a package by way of the proxy made by its script\n"},
	{"gcc", `printf '#include <stdio.h>\nint main(void) { return puts("compiled") < 0; }\n' >c.c && gcc -O1 -Wall -o c c.c && ./c`, "compiled\n"},
	{"make", `printf 'all: b\n\t@cat b\nb: a\n\t@tr a-z A-Z <a >b\na:\n\t@echo made >a\n' >Makefile && make -s -j2`, "MADE\n"},
	{"strace", `strace -f -o trace sh -c : && grep -c exit_group trace`, "1\n"},
}

// TestTools: what coding agents work with works, in a bottle of its own each and
// through the proxy where it needs a network.
func TestTools(t *testing.T) {
	op := asSelf(t)
	for _, c := range tools {
		t.Run(c.name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join("/usr/bin", c.name)); err != nil {
				t.Skip(err)
			}
			op := op.with(t)
			op.project()
			if r := op.inside(c.script); r.code != 0 || r.out != c.want {
				t.Errorf("wanted %q; got %v", c.want, r)
			}
		})
	}
	t.Run("go", func(t *testing.T) { op.with(t).goTools() })
}

// project makes the workspace a new repository with one commit.
func (op *operator) project() {
	op.t.Helper()
	must(op.t, os.RemoveAll(op.work))
	op.write(filepath.Join(op.work, "README"), "the project\n", 0o644)
	if _, err := exec.LookPath("git"); err != nil {
		return
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "README"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "one"}} {
		cmd := exec.Command("git", append([]string{"-C", op.work}, args...)...)
		cmd.Env = []string{"PATH=" + searchPath(), "HOME=" + op.home, "GIT_CONFIG_NOSYSTEM=1"}
		if out, err := cmd.CombinedOutput(); err != nil {
			op.t.Fatalf("%v\n%s", err, out)
		}
	}
}

// goTools builds, runs and tests a program with a module of the origin's. The
// operator's build cache is shown and linked to, so that not all of Go is compiled
// again.
func (op *operator) goTools() {
	t := op.t
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Skip(err)
	}
	cache := strings.TrimSpace(string(out))
	op.project()
	for name, text := range map[string]string{
		"go.mod":       "module m\n\ngo 1.20\n\nrequire " + module + " " + moduleVersion + "\n",
		"main.go":      "package main\n\nimport (\n\t\"fmt\"\n\n\t\"" + module + "\"\n)\n\nfunc main() { fmt.Println(tiny.Mark) }\n",
		"main_test.go": "package main\n\nimport \"testing\"\n\nfunc TestMain1(t *testing.T) {}\n",
	} {
		op.write(filepath.Join(op.work, name), text, 0o644)
	}
	script := `cp -rs "$1" /tmp/cache && export GOCACHE=/tmp/cache GOPROXY=https://allowed.test/goproxy GONOSUMDB=* GOFLAGS=-mod=mod GOTOOLCHAIN=local CGO_ENABLED=0
		go build -o m . && ./m && go run . && go vet . && go test . | cut -c 1-5 && go version -m m | grep -c allowed.test/tiny`
	r := op.run("bottlerun", "run", "-f", op.manifest, "-ro", cache, "inside", "--", "sh", "-c", script, "sh", cache)
	const mark = "a module by way of the proxy\n"
	if r.code != 0 || r.out != mark+mark+"ok  \t\n1\n" {
		t.Errorf("got %v", r)
	}
	// Without a repository of its own there is a .git that is none.
	must(t, os.RemoveAll(filepath.Join(op.work, ".git")))
	if r := op.inside("rm -f *; echo module m >go.mod; echo 'package main; func main() {}' >main.go; go build -n . 2>out && echo planned"); r.out != "planned\n" {
		t.Errorf("without a repository: %v", r)
	}
}

// npm is a registry with one package, whose script makes a file.
func npm(w http.ResponseWriter, r *http.Request) {
	tgz := npmPackage()
	sum := sha512.Sum512(tgz)
	switch strings.TrimPrefix(r.URL.Path, "/npm/") {
	case "tiny":
		version := map[string]any{"name": "tiny", "version": "1.0.0", "hasInstallScript": true,
			"dist": map[string]string{"tarball": "https://" + r.Host + "/npm/tiny/-/tiny-1.0.0.tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}}
		json.NewEncoder(w).Encode(map[string]any{"name": "tiny", "dist-tags": map[string]string{"latest": "1.0.0"}, "versions": map[string]any{"1.0.0": version}})
	case "tiny/-/tiny-1.0.0.tgz":
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(tgz)
	default:
		http.NotFound(w, r)
	}
}

func npmPackage() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range [][2]string{
		{"package.json", `{"name":"tiny","version":"1.0.0","main":"index.js","scripts":{"install":"printf 'made by its script' >made"}}`},
		{"index.js", `module.exports = "a package by way of the proxy"`},
	} {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "package/" + f[0], Mode: 0o644, Size: int64(len(f[1]))})
		if err == nil {
			_, err = fmt.Fprint(w, f[1])
		}
		if err != nil {
			panic(err)
		}
	}
	w.Close()
	z.Close()
	return b.Bytes()
}
