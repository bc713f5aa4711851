package route

import (
	"encoding/json"
	"time"
)

// MarshalJSON is r as one entry of a table in JSON, which Parse reads again: the
// keys of routes.yaml, what is not set left out.
func (r Route) MarshalJSON() ([]byte, error) {
	var expires *time.Time
	if !r.Expires.IsZero() {
		expires = &r.Expires
	}
	return json.Marshal(struct {
		Host          string     `json:"host"`
		PathAllowlist []string   `json:"path_allowlist,omitempty"`
		Methods       []string   `json:"methods,omitempty"`
		Ports         []int      `json:"ports,omitempty"`
		AuthScheme    string     `json:"auth_scheme,omitempty"`
		TokenEnv      string     `json:"token_env,omitempty"`
		AuthHeader    string     `json:"auth_header,omitempty"`
		AuthUser      string     `json:"auth_user,omitempty"`
		Role          []string   `json:"role,omitempty"`
		TLS           string     `json:"tls,omitempty"`
		Expires       *time.Time `json:"expires,omitempty"`
		MaxUses       int        `json:"max_uses,omitempty"`
		Note          string     `json:"note,omitempty"`
	}{r.Host, r.PathAllowlist, r.Methods, r.Ports, r.AuthScheme, r.TokenEnv, r.AuthHeader, r.AuthUser, r.Role, r.TLS, expires, r.MaxUses, r.Note})
}
