package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/review"
	"bottle/pkg/route"
)

// narrow has the operator take out of a proposal what it shall not have, in the
// editor, and shows what is left. Nothing is approved by that.
func (r *reviewer) narrow(ctx context.Context, at *place, it review.Item, signals <-chan os.Signal) {
	is, err := r.narrowed(ctx, at, it, signals)
	switch {
	case err != nil:
		r.screen.Done(false, err.Error())
	case is == nil:
		r.screen.Say("the proposal is as it was")
	default:
		r.screen.Narrowed(*is)
	}
}

// narrowed is what is left of it, nil when nothing was changed.
func (r *reviewer) narrowed(ctx context.Context, at *place, it review.Item, signals <-chan os.Signal) (*review.Item, error) {
	var said tail
	env := *r.env
	env.Stdout, env.Stderr = &said, &said
	v, err := again(ctx, &env, at, it)
	if err != nil {
		return nil, err
	}
	asked, err := v.Route()
	if err != nil {
		return nil, cli.Refusedf("only a route can be narrowed: %w", err)
	}
	shown := asked
	if n := it.Narrow; n != nil {
		shown.PathAllowlist, shown.Methods = orList(n.Paths, asked.PathAllowlist), orList(n.Methods, asked.Methods)
	}
	text, err := r.editText(ctx, draft(at, shown), signals)
	if err != nil {
		return nil, err
	}
	o, err := readDraft(text, asked)
	if err != nil {
		return nil, err
	}
	live, err := at.live(ctx, &env)
	if err != nil {
		return nil, err
	}
	left, err := narrow(asked, find(live.table, asked.Host), o)
	if err != nil {
		return nil, err
	}
	if slices.Equal(left.PathAllowlist, shown.PathAllowlist) && slices.Equal(left.Methods, shown.Methods) {
		return nil, nil
	}
	if v, err = viewOf(v.Record, left, live.table, live.uses, live.refused...); err != nil {
		return nil, err
	}
	is := itemOf(&waits{at: at, view: v}, it.Bottle, "")
	if o.paths != nil || o.methods != nil {
		is.Narrow = &review.Narrow{Paths: o.paths, Methods: o.methods}
	}
	return &is, nil
}

// again looks at the item once more: it must still be what was on the screen.
func again(ctx context.Context, env *cli.Env, at *place, it review.Item) (view, error) {
	q, err := at.open(ctx)
	if err != nil {
		return view{}, err
	}
	defer q.Close()
	rec, err := pending(q, it.ID)
	if err != nil {
		return view{}, err
	}
	v, err := look(ctx, env, at, rec)
	if err == nil && v.Digest != it.Digest {
		err = cli.Refusedf("the proposal or the bottle's table is not what was shown; look again")
	}
	return v, err
}

func orList(a, b []string) []string {
	if a != nil {
		return a
	}
	return b
}

// draft is a proposal as the operator edits it.
func draft(at *place, p route.Proposal) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What %s asks for. Take out what it shall not have, or make a path longer;\n", at.bottle)
	b.WriteString("# more than it asked for is refused. Nothing is approved yet.\n")
	fmt.Fprintf(&b, "host: %s\n", quoted(p.Host))
	lines := func(key, absent string, list []string) {
		if list == nil {
			fmt.Fprintf(&b, "# %s: absent, which is %s; list those that are enough, as\n# %s: [...]\n", key, absent, key)
			return
		}
		fmt.Fprintf(&b, "%s:\n", key)
		for _, s := range list {
			fmt.Fprintf(&b, "- %s\n", quoted(s))
		}
	}
	lines("path_allowlist", "every path", p.PathAllowlist)
	lines("methods", "every method", p.Methods)
	return b.Bytes()
}

// quoted is s in the quotes of JSON, which YAML has too, without a character
// that an editor would obey.
func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(escape.JSON(data))
}

// readDraft is what an edited draft leaves of what was asked for.
func readDraft(text []byte, asked route.Proposal) (order, error) {
	p, err := route.ParseProposal("your text", text)
	if err != nil {
		return order{}, cli.Refused(err)
	}
	if p.Host != asked.Host || p.Auth != nil {
		return order{}, cli.Refusedf("the host and the credential cannot be changed here; wanted host: %s", asked.Host)
	}
	var o order
	for _, l := range []struct {
		key       string
		to        *[]string
		is, asked []string
	}{{"path_allowlist", &o.paths, p.PathAllowlist, asked.PathAllowlist}, {"methods", &o.methods, p.Methods, asked.Methods}} {
		if l.is == nil && l.asked != nil {
			return order{}, cli.Refusedf("%s was taken out, which would be all of them; wanted those that are to be left", l.key)
		}
		if !slices.Equal(l.is, l.asked) {
			*l.to = l.is
		}
	}
	return o, nil
}

// editText has the operator edit text in $VISUAL or $EDITOR.
func (r *reviewer) editText(ctx context.Context, text []byte, signals <-chan os.Signal) ([]byte, error) {
	dir, err := os.MkdirTemp("", "superviser")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "proposal.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	editor := or(or(r.env.Getenv("VISUAL"), r.env.Getenv("EDITOR")), "vi")
	// Through the shell: the variable may hold arguments.
	said, err := r.give(ctx, signals, exec.Command("sh", "-c", editor+` "$1"`, "sh", file))
	if err != nil {
		return nil, fmt.Errorf("editor %q: %w\n%s", editor, err, strings.TrimSpace(said))
	}
	return os.ReadFile(file)
}
