package bottle

import (
	_ "embed"
	"slices"
	"strings"
	"time"

	"bottle/pkg/strictyaml"
	"bottle/pkg/truststore"

	"gopkg.in/yaml.v3"
)

// The clients that need more than variables to find their way out.
const (
	ClientJava = "java" // reads no PEM
	ClientNode = "node" // before 22.21 and 24.5 asks no proxy
)

// Clients are all that Manifest.Clients may name.
func Clients() []string { return []string{ClientJava, ClientNode} }

// Names of Files.
const (
	trustStore = "trust.jks"
	nodeProxy  = "node-proxy.cjs"
)

//go:embed node-proxy.cjs
var nodeProxyText []byte

// Files are those that the manifest's clients need, by their names in
// Outlet.Files; bundle is what is trusted, PEM.
func Files(m *Manifest, bundle []byte) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, c := range m.Clients {
		switch c {
		case ClientNode:
			files[nodeProxy] = nodeProxyText
		case ClientJava:
			store, err := truststore.JKS(bundle, time.Now())
			if err != nil {
				return nil, err
			}
			files[trustStore] = store
		}
	}
	return files, nil
}

// needs reports whether the manifest names the client.
func (m *Manifest) needs(client string) bool { return slices.Contains(m.Clients, client) }

// javaTrust are the options of a Java machine that has a store of ours.
func (m *Manifest) javaTrust(folder string) string {
	if !m.needs(ClientJava) {
		return ""
	}
	return " " + optionWord("-Djavax.net.ssl.trustStore="+folder+"/"+trustStore) + " -Djavax.net.ssl.trustStoreType=JKS"
}

const nodeOptions = "NODE_OPTIONS"

// nodeRequire puts ours before the options that a program of Node has already.
func (m *Manifest) nodeRequire(folder, others string) string {
	if !m.needs(ClientNode) {
		return others
	}
	return strings.TrimSpace("--require=" + optionWord(folder+"/"+nodeProxy) + " " + others)
}

// optionWord keeps a word of JAVA_TOOL_OPTIONS and NODE_OPTIONS together.
func optionWord(s string) string {
	if strings.ContainsAny(s, " \t") {
		return `"` + s + `"`
	}
	return s
}

func (m *reader) readClients(n *yaml.Node) {
	items, ok := m.List(n, "clients")
	if !ok {
		return
	}
	for _, item := range items {
		name, ok := m.String(item, "a client")
		switch {
		case !ok:
		case !slices.Contains(Clients(), name):
			m.Fault(item, "client "+strictyaml.Quote(name)+" needs nothing of its own", "wanted "+strings.Join(Clients(), " or "))
		case m.needs(name):
			m.Fault(item, "client "+name+" is repeated", "wanted it once")
		default:
			m.Clients = append(m.Clients, name)
		}
	}
}
