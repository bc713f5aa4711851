package canary

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// What the registries have: one package of the name Mark, in version 1.0.0, as
// far as a client asks before it fetches the package itself.

// Module is what Mark is called as a Go module.
const Module = Domain + "/" + Mark

// registry answers package managers and git.
func registry(w http.ResponseWriter, r *http.Request, path string) {
	page := pages[path]
	if path == "/repo.git/info/refs" {
		page = refs(r.URL.Query().Get("service"))
	}
	if page.text == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", page.kind)
	io.WriteString(w, page.text)
}

type page struct{ kind, text string }

// pages are what registries have, by path: PyPI's simple index (PEP 503), npm's
// packument, a Go module proxy (go.dev/ref/mod), cargo's sparse index (RFC 2789),
// NuGet's service index.
var pages = map[string]page{
	"/simple/" + Mark + "/": {"text/html", "<!DOCTYPE html><a href=\"bottle_canary-1.0.0-py3-none-any.whl\">bottle_canary-1.0.0-py3-none-any.whl</a>\n"},
	"/" + Mark: {"application/json", `{"name":"` + Mark + `","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"` + Mark +
		`","version":"1.0.0","dist":{"tarball":"https://` + Domain + `/none.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}}}` + "\n"},
	"/goproxy/" + Module + "/@v/list":       {"text/plain", "v1.0.0\n"},
	"/goproxy/" + Module + "/@v/v1.0.0.mod": {"text/plain", "module " + Module + "\n"},
	"/goproxy/" + Module + "/@v/v1.0.0.info": {"application/json",
		`{"Version":"v1.0.0","Time":"2024-01-02T03:04:05Z"}` + "\n"},
	"/index/config.json": {"application/json", `{"dl":"https://` + Domain + `/crates"}` + "\n"},
	"/index/bo/tt/" + Mark: {"text/plain", `{"name":"` + Mark + `","vers":"1.0.0","deps":[],"cksum":"` + strings.Repeat("0", 64) +
		`","features":{},"yanked":false}` + "\n"},
	"/v3/index.json": {"application/json", `{"version":"3.0.0","resources":[]}` + "\n"},
}

// refs are those of a repository with one branch, in git's first protocol over
// HTTP (gitprotocol-http(5)).
func refs(service string) page {
	if service != "git-upload-pack" {
		return page{}
	}
	head := strings.Repeat("1", 40)
	return page{"application/x-" + service + "-advertisement", pkt("# service="+service+"\n") + "0000" +
		pkt(head+" HEAD\x00symref=HEAD:refs/heads/main\n") + pkt(head+" refs/heads/main\n") + "0000"}
}

// pkt is a line with its length before it.
func pkt(line string) string {
	var n [2]byte
	binary.BigEndian.PutUint16(n[:], uint16(len(line)+4))
	return fmt.Sprintf("%x%s", n, line)
}
