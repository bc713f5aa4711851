package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const testUsage = `usage: prog VERB

usage: prog yes [-n]
Says yes.

usage: prog yesterday
Says no.
`

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errw bytes.Buffer
	env := &Env{Prog: "prog", Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errw}
	code = Run(context.Background(), env, testUsage,
		Verb{"yes", func(_ context.Context, e *Env) error {
			fs := e.Flags()
			fs.Bool("n", false, "")
			return e.Parse(fs, 0, 1)
		}},
		Verb{"yesterday", func(context.Context, *Env) error { return Refusedf("no") }},
		Verb{"broken", func(context.Context, *Env) error { return errors.New("disk full") }},
		Verb{"far", func(context.Context, *Env) error { return fmt.Errorf("copy: %w", hinted{}) }},
		Verb{"pass", func(context.Context, *Env) error { return Exit(42, Silent) }},
		Verb{"_hidden", func(context.Context, *Env) error { return nil }},
	)
	return code, out.String(), errw.String()
}

// hinted is an error that has advice apart from its message.
type hinted struct{}

func (hinted) Error() string { return "no engine" }
func (hinted) Hint() string  { return "start it" }

func TestExitCodesAndMessages(t *testing.T) {
	cases := []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"yes", Done, "", ""},
		{"yes -n x", Done, "", ""},
		{"yes -x", Usage, "", "prog yes: flag provided but not defined: -x; try 'prog yes -h'\n"},
		{"yes a b", Usage, "", "prog yes: 2 operands given (\"b\" ...); wanted at most 1; try 'prog yes -h'\n"},
		{"yesterday", No, "", "prog yesterday: no\n"},
		{"broken", Trouble, "", "prog broken: disk full\n"},
		{"far", Trouble, "", "prog far: copy: no engine\nhint: start it\n"},
		{"pass", 42, "", ""},
		{"nope", Usage, "", "prog: unknown verb \"nope\"; wanted one of: yes yesterday broken far pass; try 'prog -h'\n"},
		{"", Usage, "", "prog: no verb given; wanted one of: yes yesterday broken far pass; try 'prog -h'\n"},
		{"-h", Done, testUsage, ""},
		{"yes -h", Done, "usage: prog yes [-n]\nSays yes.\n\n", ""},
		{"yesterday -h", Done, "usage: prog yesterday\nSays no.\n", ""},
	}
	for _, c := range cases {
		code, stdout, stderr := run(t, strings.Fields(c.args)...)
		if code != c.code || stdout != c.stdout || stderr != c.stderr {
			t.Errorf("prog %s: got %d, %q, %q; want %d, %q, %q", c.args, code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
	}
}

func TestExitCodeSurvivesWrapping(t *testing.T) {
	var errw bytes.Buffer
	env := &Env{Prog: "p", Stderr: &errw}
	if got := report(env, fmt.Errorf("outer: %w", Refusedf("inner"))); got != No {
		t.Errorf("got %d, want %d", got, No)
	}
}

func TestReadInputLimit(t *testing.T) {
	env := &Env{Stdin: strings.NewReader("12345")}
	if _, _, err := env.ReadInput("-", 4); err == nil {
		t.Error("five bytes passed a limit of four")
	}
}
