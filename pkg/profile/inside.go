package profile

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
)

// A route to a mirror is of no use to a tool that does not know of it. The
// operator's home and variables, where most have named theirs, are not in the
// bottle: the tool is told by variables of its own.

// A Variable is one of a tool's, for the agent's environment.
type Variable struct{ Name, Value string }

// goVariables are those by which go finds modules (https://go.dev/ref/mod#environment-variables).
var goVariables = []string{"GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB"}

// Variables are what the profile's tool has to be told in the bottle, where it has
// neither the operator's home nor his variables, to fetch from where it fetches
// outside. An address with a password is not among them: secret then tells its
// variable.
func Variables(name string) (vars []Variable, secret []string, err error) {
	var all []Variable
	switch name {
	case "npm":
		all, err = differing(npmRegistry)
	case "go":
		all, err = differing(goSettings)
	case "pypi":
		all, err = pipVariables()
	}
	for _, v := range all {
		if hasPassword(v.Value) {
			secret = append(secret, v.Name)
			continue
		}
		vars = append(vars, v)
	}
	return vars, secret, err
}

// bare is an environment without the operator's settings. The system's stay: they
// are shown in the bottle too. No tool makes a folder below this home, not as root.
func bare() []string { return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.DevNull} }

// differing are the settings that read gives with the operator's environment and
// not without.
func differing(read func(env []string) ([]Variable, error)) (vars []Variable, err error) {
	ours, err := read(nil)
	if err != nil {
		return nil, err
	}
	theirs, err := read(bare())
	if err != nil {
		return nil, err
	}
	for i, v := range ours {
		if v != theirs[i] {
			vars = append(vars, v)
		}
	}
	return vars, nil
}

func npmRegistry(env []string) ([]Variable, error) {
	out, err := ask(env, "npm", "config", "list", "--json")
	var config struct{ Registry string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &config)
	}
	return []Variable{{"NPM_CONFIG_REGISTRY", config.Registry}}, err
}

func goSettings(env []string) (vars []Variable, err error) {
	out, err := ask(env, "go", append([]string{"env"}, goVariables...)...)
	values := strings.Split(out, "\n") // one a line, in their order
	for i, name := range goVariables {
		if i < len(values) {
			vars = append(vars, Variable{name, values[i]})
		}
	}
	return vars, err
}

// pipVariables: a file of the system's pip reads in the bottle as well, and a
// variable that says the same does no harm. Uv reads no file of pip's.
func pipVariables() (vars []Variable, err error) {
	index, extra, err := pipIndexes(os.Getenv)
	if index != "" {
		vars = append(vars, Variable{"PIP_INDEX_URL", index}, Variable{"UV_DEFAULT_INDEX", index})
	}
	if len(extra) > 0 {
		vars = append(vars, Variable{"PIP_EXTRA_INDEX_URL", strings.Join(extra, " ")})
	}
	return vars, err
}

// hasPassword tells addresses with a user or password in one of them, and those
// that cannot be read.
func hasPassword(value string) bool {
	for _, a := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' || r == '|' }) {
		if u, err := url.Parse(a); err != nil || u.User != nil {
			return true
		}
	}
	return false
}
