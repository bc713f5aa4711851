package proxy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"bottle/pkg/http1"
	"bottle/pkg/route"
)

// inject sets the route's credential in h, the head as it leaves, after the
// agent's own values of that field are gone. Without a route's credential the
// request is refused and ok is false: it never leaves without it, never over
// plain HTTP, and the agent's own never in its place.
//
// On a route without a credential the agent's own Authorization is passed on:
// it is the agent's, and the host is one the operator allowed.
func (x *exchange) inject(h http1.Header) (_ http1.Header, ok bool) {
	r := x.route
	if r.TokenEnv == "" {
		return h, true
	}
	if x.dest.scheme != "https" {
		x.fault(403, codePlainCredential, fmt.Sprintf("host '%s' has a credential, which is never sent over plain http; use https", x.dest.host))
		return nil, false
	}
	value, err := x.p.Token(r.TokenEnv)
	if err != nil {
		x.fault(502, codeNoCredential, fmt.Sprintf("the credential %s of host '%s' is not to be had: %v", r.TokenEnv, x.dest.host, err))
		return nil, false
	}
	x.cred = x.p.creds.of(r, value)
	x.out = x.withoutCredential(h).Add(credentialField(r), x.cred.line)
	return x.out, true
}

// cred is a credential as a route spells it.
type cred struct {
	value   []byte
	line    string   // the field's value
	secrets []string // the spellings that an answer must not carry to the agent
	masks   []mask   // the same, to look for in content; see masksFor
}

// creds remembers the credentials of the present routes as they are spelled.
type creds struct{ m sync.Map } // *route.Route to *cred

// of is the credential of r with that value.
func (c *creds) of(r *route.Route, value []byte) *cred {
	if old, ok := c.m.Load(r); ok && bytes.Equal(old.(*cred).value, value) {
		return old.(*cred)
	}
	n := &cred{value: value, line: spell(r, value), secrets: []string{string(value)}}
	if r.AuthUser != "" {
		n.secrets = append(n.secrets, basic(r, value))
	}
	for _, s := range n.secrets {
		n.masks = append(n.masks, newMask(s))
	}
	c.m.Store(r, n)
	return n
}

// credentialField is the field that carries a route's credential.
func credentialField(r *route.Route) string {
	if r.AuthHeader != "" {
		return r.AuthHeader
	}
	return "Authorization"
}

// isCredential tells whether a field of the agent's must not leave on the
// exchange's route. With Claude Code's own login an API key beside it would make
// the origin prefer the key.
func (x *exchange) isCredential(name string) bool {
	return sameField(name, credentialField(x.route)) ||
		sameField(name, "X-Api-Key") && slices.Contains(x.route.Role, route.RoleClaudeCodeOAuth)
}

// withoutCredential is h, in its own room, without those fields.
func (x *exchange) withoutCredential(h http1.Header) http1.Header {
	return slices.DeleteFunc(h, func(f http1.Field) bool { return x.isCredential(f.Name) })
}

// spell writes the value as the route wants it.
func spell(r *route.Route, value []byte) string {
	v := string(value)
	if r.AuthUser != "" {
		v = basic(r, value)
	}
	if r.AuthScheme == "" {
		return v
	}
	return r.AuthScheme + " " + v
}

// basic is user and password of HTTP's Basic scheme (RFC 7617 §2).
func basic(r *route.Route, value []byte) string {
	return base64.StdEncoding.EncodeToString([]byte(r.AuthUser + ":" + string(value)))
}

// Tokens are the credentials of a bottle by the name of their slot: the value
// in the environment, else in the file Dir/NAME. Either is read when first asked
// for and again after Forget.
type Tokens struct {
	Dir    string
	Getenv func(string) string

	mu   sync.Mutex
	read map[string][]byte
}

// maxToken bounds a credential; a field of a request's head holds no more.
const maxToken = 16 << 10

// Get returns the credential in the slot name. The error says what is wrong
// with it, and never holds it.
func (t *Tokens) Get(name string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.read[name]; ok {
		return v, nil
	}
	v, err := t.find(name)
	if err != nil {
		return nil, err
	}
	if t.read == nil {
		t.read = map[string][]byte{}
	}
	t.read[name] = v
	return v, nil
}

func (t *Tokens) find(name string) ([]byte, error) {
	if v := t.Getenv(name); v != "" {
		return checkToken([]byte(v))
	}
	return t.readFile(name)
}

// Forget drops what was read: the next Get reads it anew.
func (t *Tokens) Forget() {
	t.mu.Lock()
	t.read = nil
	t.mu.Unlock()
}

func (t *Tokens) readFile(name string) ([]byte, error) {
	if t.Dir == "" {
		return nil, errors.New("the variable is not set")
	}
	path := filepath.Join(t.Dir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("the variable is not set and no value was delivered")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, errors.New("what was delivered is no regular file")
	}
	v, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return nil, err
	}
	return checkToken(bytes.TrimRight(v, "\r\n"))
}

// checkToken refuses values that a field cannot carry whole.
func checkToken(v []byte) ([]byte, error) {
	switch {
	case len(v) == 0:
		return nil, errors.New("the value is empty")
	case len(v) > maxToken:
		return nil, fmt.Errorf("the value is longer than %d bytes", maxToken)
	case !http1.ValidFieldValue(string(v)) || bytes.IndexByte(v, '\t') >= 0 || v[0] == ' ' || v[len(v)-1] == ' ':
		return nil, errors.New("the value holds a control character or begins or ends with a space")
	}
	return v, nil
}
