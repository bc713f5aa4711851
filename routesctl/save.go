package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bottle/pkg/atomicfile"
	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/mirror"
	"bottle/pkg/route"
)

// saving writes what a live table has beyond a manifest back to the manifest.
type saving struct {
	env    *cli.Env
	file   string
	tokens map[string]string // slot to the operator's variable
	own    map[string]bool   // hosts of the manifest's own routes

	edits []mirror.RouteEdit
	left  int // differences that are not saved
}

// save writes the routes that were approved while a bottle ran to its manifest.
func save(ctx context.Context, env *cli.Env) error {
	s := &saving{env: env, tokens: tokenFlag{}, own: map[string]bool{}}
	fs := env.Flags()
	of := targetFlags(fs)
	dry := fs.Bool("n", false, "")
	fs.Var(tokenFlag(s.tokens), "token", "")
	if err := env.Parse(fs, 1, 1); err != nil {
		return err
	}
	if s.file = fs.Arg(0); s.file == "-" {
		return cli.Misused("wanted the file of a manifest, which is changed in its place")
	}
	data, was, err := s.manifest()
	if err != nil {
		return err
	}
	l, err := served(ctx, env, of)
	if err != nil {
		return err
	}
	s.compare(was, l.t)
	next, is, err := s.edited(data, was)
	if err != nil {
		return err
	}
	for _, c := range route.Diff(was, is) {
		if _, err := fmt.Fprintln(env.Stdout, c.Text); err != nil {
			return err
		}
	}
	if !*dry && len(s.edits) > 0 {
		err := atomicfile.Replace(s.file, data, next)
		if errors.Is(err, atomicfile.ErrChanged) {
			return cli.Refusedf("%s has changed since it was read, and is left as it is\nhint: run save again", s.file)
		}
		if err != nil {
			return err
		}
	}
	if s.left > 0 {
		return cli.Exit(cli.No, cli.Silent)
	}
	return nil
}

func (s *saving) manifest() ([]byte, *route.Table, error) {
	data, shown, err := s.env.ReadInput(s.file, bottle.MaxBytes)
	if err != nil {
		return nil, nil, err
	}
	m, err := bottle.Parse(shown, data)
	if err != nil {
		return nil, nil, refuse(s.env, err)
	}
	for _, r := range m.EgressProxy.Routes {
		s.own[r.Host] = true
	}
	t, _, err := bottle.EffectiveRoutes(m)
	if err != nil {
		return nil, nil, refuse(s.env, err)
	}
	return data, t, nil
}

// compare finds what of live is to be saved, and says what is not.
func (s *saving) compare(was, live *route.Table) {
	for i := range live.Routes {
		r := &live.Routes[i]
		old := exact(was, r.Host)
		switch {
		case !r.Expires.IsZero() || r.MaxUses > 0:
			if old == nil || old.Expires.IsZero() && old.MaxUses == 0 {
				s.leave(r.Host, "it ends by itself")
			}
		case old == nil:
			s.fresh(r)
		default:
			s.widened(old, r)
		}
	}
	for _, r := range was.Routes {
		if exact(live, r.Host) == nil {
			s.leave(r.Host, "it was taken away from the bottle; take it out of the manifest by hand")
		}
	}
}

func (s *saving) leave(host, why string) {
	s.left++
	note(s.env, "not saved: %s: %s", host, why)
}

// fresh adds a route that the manifest lacks. The name of its credential's
// variable is known to the operator alone.
func (s *saving) fresh(r *route.Route) {
	ref := s.tokens[r.TokenEnv]
	if r.TokenEnv != "" && ref == "" {
		s.leave(r.Host, "it has a credential; add -token "+r.TokenEnv+"=VARIABLE, VARIABLE being the one of your environment that holds it")
		return
	}
	s.edits = append(s.edits, mirror.RouteEdit{Host: r.Host, Lines: routeLines(r, ref)})
}

// routeLines are the lines of a route in a manifest, in YAML that JSON is too.
func routeLines(r *route.Route, ref string) []string {
	lines := []string{"host: " + quoteYAML(r.Host)}
	list := func(key string, values any, is bool) {
		if is {
			lines = append(lines, key+": "+flow(values))
		}
	}
	list("path_allowlist", r.PathAllowlist, r.PathAllowlist != nil)
	list("methods", r.Methods, r.Methods != nil)
	list("ports", r.Ports, r.Ports != nil)
	if ref != "" {
		lines = append(lines, "auth: {scheme: "+quoteYAML(r.AuthScheme)+", token_ref: "+quoteYAML(ref)+"}")
	}
	for _, f := range [][2]string{{"auth_header", r.AuthHeader}, {"auth_user", r.AuthUser}, {"tls", r.TLS}, {"note", r.Note}} {
		if f[1] != "" {
			lines = append(lines, f[0]+": "+quoteYAML(f[1]))
		}
	}
	list("role", r.Role, r.Role != nil)
	return lines
}

func quoteYAML(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(b)
}

// flow is a list on one line.
func flow(values any) string {
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // of strings or numbers
	}
	return strings.ReplaceAll(string(b), `","`, `", "`)
}

// widened saves the paths and methods that a route gained.
func (s *saving) widened(old, r *route.Route) {
	e := mirror.RouteEdit{Host: r.Host, Paths: missing(old.PathAllowlist, r.PathAllowlist), Methods: missing(old.Methods, r.Methods)}
	saved := *old
	saved.PathAllowlist = slices.Concat(old.PathAllowlist, e.Paths)
	saved.Methods = slices.Concat(old.Methods, e.Methods)
	saved.TokenEnv = r.TokenEnv // the slots' numbers are the bottle's
	if !same(&saved, r) {
		s.leave(r.Host, "its route differs in more than paths and methods that it gained; edit the manifest by hand")
		return
	}
	if len(e.Paths)+len(e.Methods) > 0 {
		if !s.own[r.Host] {
			s.leave(r.Host, "it is not one of the manifest's own routes")
			return
		}
		s.edits = append(s.edits, e)
	}
}

// missing is what list has and old lacks; a nil old has all.
func missing(old, list []string) []string {
	if old == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(list), func(v string) bool { return slices.Contains(old, v) })
}

// same tells whether a and b mean the same but for the order of their lists.
func same(a, b *route.Route) bool {
	one, err1 := route.New([]route.Route{sorted(a)})
	two, err2 := route.New([]route.Route{sorted(b)})
	return err1 == nil && err2 == nil && one.Digest() == two.Digest()
}

func sorted(r *route.Route) route.Route {
	s := *r
	s.Note = ""
	for _, list := range []*[]string{&s.PathAllowlist, &s.Methods, &s.Role} {
		if *list != nil {
			*list = slices.Sorted(slices.Values(*list))
		}
	}
	return s
}

// edited is the manifest with the edits, and its table, once it has been parsed
// again and differs from before in just what was to be saved.
func (s *saving) edited(data []byte, was *route.Table) ([]byte, *route.Table, error) {
	next, err := mirror.EditRoutes(s.file, data, s.edits)
	if err != nil {
		return nil, nil, refuse(s.env, err)
	}
	m, err := bottle.Parse(s.file, next)
	if err != nil {
		return nil, nil, s.unclear()
	}
	is, _, err := bottle.EffectiveRoutes(m)
	if err != nil {
		return nil, nil, s.unclear()
	}
	touched := map[string]bool{}
	for _, e := range s.edits {
		touched[e.Host] = true
		r := exact(is, e.Host)
		if r == nil || len(missing(r.PathAllowlist, e.Paths))+len(missing(r.Methods, e.Methods)) > 0 {
			return nil, nil, s.unclear()
		}
	}
	for _, c := range route.Diff(was, is) {
		if !touched[c.Host] && c.Kind != "credential" { // which differs in the number of its slot alone
			return nil, nil, s.unclear()
		}
	}
	return next, is, nil
}

func (s *saving) unclear() error {
	return cli.Refusedf("%s is written in a way that is not edited here; nothing was changed\nhint: 'routesctl show' has the routes; add them by hand", s.file)
}
