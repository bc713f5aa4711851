package mirror

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"bottle/pkg/ca"
)

// A Start is all that a bottle's pipelock is started with.
type Start struct {
	// Files are for its folder, Settings.Dir, which is its user's alone.
	Files []File
	// Args follow the program's name. Env are more variables of its environment.
	Args, Env []string
	// CA is the certificate of its authority, which egress-proxy must trust
	// beside the system's; nil when it ends no TLS.
	CA []byte
	// Left are hosts of routes that it cannot match and will refuse.
	Left []string
}

// A File is a file of a bottle's pipelock.
type File struct {
	Name string
	Mode fs.FileMode
	Data []byte
}

// Args are the arguments of a bottle's pipelock whose folder is dir.
func Args(dir, listen string) []string {
	return []string{"run", "--config", path.Join(dir, ConfigFile), "--listen", listen}
}

// Prepare makes what a pipelock is started with, and for one that ends TLS an
// authority of its own, new for each run. The operator's own configuration gets
// the hosts, and where it ends TLS the authority; the rest of it stays. The error
// is strictyaml.Faults for one that cannot be used.
func Prepare(s Settings) (*Start, error) {
	hosts, left := s.Table.Hosts()
	names, _, err := Names("routes", []byte(strings.Join(hosts, "\n")))
	if err != nil {
		return nil, err
	}
	start := &Start{Args: Args(s.Dir, s.Listen), Left: left}
	config, intercept := Config(s, names), s.Intercept
	if s.Own != nil {
		if config, intercept, err = s.adopt(names); err != nil {
			return nil, err
		}
	}
	start.add(ConfigFile, 0o600, config)
	if intercept {
		if err := start.addAuthority(s.Name); err != nil {
			return nil, err
		}
	}
	if len(s.Roots) > 0 {
		// What it trusts it knows from the environment alone.
		start.add(RootsFile, 0o644, s.Roots)
		start.Env = []string{"SSL_CERT_FILE=" + s.path(RootsFile)}
	}
	return start, nil
}

func (s Settings) path(name string) string { return path.Join(s.Dir, name) }

func (st *Start) add(name string, mode fs.FileMode, data []byte) {
	st.Files = append(st.Files, File{name, mode, data})
}

// addAuthority makes the pair as pipelock wants it: the certificate one that may
// sign, the key SEC1, and nobody else may read it.
func (st *Start) addAuthority(bottle string) error {
	cert, pkcs8, err := ca.New("pipelock of bottle "+bottle, time.Now())
	if err != nil {
		return err
	}
	key, err := ca.SEC1(pkcs8)
	if err != nil {
		return err
	}
	st.CA = cert
	st.add(CAFile, 0o644, cert)
	st.add(KeyFile, 0o600, key)
	return nil
}

// adopt is the operator's configuration with names on its list, and whether it
// ends TLS.
func (s Settings) adopt(names []string) (config []byte, intercept bool, err error) {
	config, _, err = Merge(s.OwnFile, s.Own, names, false)
	if err != nil {
		return nil, false, err
	}
	t, err := readText(s.OwnFile, config)
	if err != nil {
		return nil, false, err
	}
	tls := t.interception()
	if !tls.enabled {
		return config, false, nil
	}
	for _, host := range passthroughRoutes(s.Table) {
		if !tls.passes(host) {
			return nil, false, t.at(tls.place, fmt.Sprintf("pipelock would end the TLS of %s, whose route is passthrough", host),
				"wanted it in tls_interception.passthrough_domains")
		}
	}
	config, err = tls.withAuthority(s.path(CAFile), s.path(KeyFile))
	return config, true, err
}
