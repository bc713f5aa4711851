// Package cli is the frame of every program: verbs, help, streams, exit codes.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"bottle/pkg/escape"
)

// The exit codes of all programs (SPEC: "Files and signals").
const (
	Done    = 0 // done, or yes
	No      = 1 // understood, and the answer is no
	Usage   = 2 // the command line is wrong
	Trouble = 3 // could not be done; trying again may help
)

// Env is what a verb sees of the world, so that tests can give it another one.
type Env struct {
	Prog   string   // the program's name, for messages
	Verb   string   // the verb, "" for a program that has none
	Args   []string // what follows the verb, flags first
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// A Verb is one job of a program.
type Verb struct {
	Name string
	// Run does it. A nil error is exit 0; see Refused, Misused and Exit for
	// the others. Any other error is trouble, exit 3.
	Run func(ctx context.Context, env *Env) error
}

// exitError is an error that knows its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// Refused marks err as an answer, "no": exit 1. Refused(nil) is nil.
func Refused(err error) error { return Exit(No, err) }

// Refusedf is Refused of a formatted message.
func Refusedf(format string, args ...any) error { return Exit(No, fmt.Errorf(format, args...)) }

// Misused says that the command line is wrong: exit 2.
func Misused(format string, args ...any) error { return Exit(Usage, fmt.Errorf(format, args...)) }

// Exit gives err an exit code. An err with an empty message exits silently, as
// for passing on the code of another program. Exit(code, nil) is nil.
func Exit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// CodeOf is the exit code of a verb that returns err.
func CodeOf(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return Done
	case errors.As(err, &e):
		return e.code
	}
	return Trouble
}

// Silent is an error without a message, for Exit.
var Silent = errors.New("")

// Main runs the program prog with the command line of the process and exits.
// usage is its usage.txt. A program with one job passes one Verb without a
// name; otherwise the first argument chooses the verb. The context ends at the
// first SIGINT or SIGTERM.
func Main(prog, usage string, verbs ...Verb) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	env := &Env{Prog: prog, Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
	code := Run(ctx, env, usage, verbs...)
	stop()
	os.Exit(code)
}

// Run is Main without the process: it returns the exit code.
func Run(ctx context.Context, env *Env, usage string, verbs ...Verb) int {
	err := dispatch(ctx, env, usage, verbs)
	return report(env, err)
}

func dispatch(ctx context.Context, env *Env, usage string, verbs []Verb) error {
	if len(env.Args) == 1 {
		switch env.Args[0] {
		case "-h", "-help", "--help":
			_, err := io.WriteString(env.Stdout, usage)
			return err
		case "-version", "--version":
			_, err := fmt.Fprintf(env.Stdout, "%s %s\n", env.Prog, Version())
			return err
		}
	}
	if len(env.Args) > 0 && env.Args[0] == "completion" {
		return completion(env, usage, verbs)
	}
	verb, err := choose(env, verbs)
	if err != nil {
		return err
	}
	for _, a := range env.Args {
		if a == "--" {
			break
		}
		if a == "-h" || a == "-help" || a == "--help" {
			_, err := io.WriteString(env.Stdout, section(usage, env.Prog, env.Verb))
			return err
		}
		if !strings.HasPrefix(a, "-") {
			break // operands follow; a -h behind them is theirs
		}
	}
	return verb.Run(ctx, env)
}

// choose takes the verb off the arguments.
func choose(env *Env, verbs []Verb) (Verb, error) {
	if len(verbs) == 1 && verbs[0].Name == "" {
		return verbs[0], nil
	}
	if len(env.Args) == 0 {
		return Verb{}, Misused("no verb given; wanted one of: %s", names(verbs))
	}
	for _, v := range verbs {
		if v.Name == env.Args[0] {
			env.Verb, env.Args = v.Name, env.Args[1:]
			return v, nil
		}
	}
	return Verb{}, Misused("unknown verb %q; wanted one of: %s", env.Args[0], names(verbs))
}

func names(verbs []Verb) string {
	var s []string
	for _, v := range verbs {
		if !strings.HasPrefix(v.Name, "_") { // inner stages, not for people
			s = append(s, v.Name)
		}
	}
	return strings.Join(s, " ")
}

// report prints err as "prog: message" and returns its exit code. An error with a
// method Hint gets that as a last line where the message has no hint of its own.
func report(env *Env, err error) int {
	if err == nil {
		return Done
	}
	code := CodeOf(err)
	msg := err.Error()
	if msg == "" {
		return code
	}
	name := env.Prog
	if env.Verb != "" {
		name += " " + env.Verb
	}
	var h interface{ Hint() string }
	if errors.As(err, &h) && !strings.Contains(msg, "\nhint: ") {
		msg += "\nhint: " + h.Hint()
	}
	if code == Usage {
		msg += fmt.Sprintf("; try '%s -h'", name)
	}
	fmt.Fprintf(env.Stderr, "%s: %s\n", name, escape.Lines(msg))
	return code
}

// section is the part of usage that describes verb: from its "usage:" line to
// the next one. Without such a part it is the whole.
func section(usage, prog, verb string) string {
	if verb == "" {
		return usage
	}
	head := "usage: " + prog + " " + verb
	for i := 0; i < len(usage); {
		j := strings.Index(usage[i:], head)
		if j < 0 {
			return usage
		}
		start, rest := i+j, usage[i+j+len(head):]
		if rest == "" || rest[0] == ' ' || rest[0] == '\n' {
			if end := strings.Index(rest, "\nusage: "); end >= 0 {
				return usage[start : start+len(head)+end+1]
			}
			return usage[start:]
		}
		i = start + len(head)
	}
	return usage
}

// Flags is a new flag set for the verb; parse it with Parse.
func (e *Env) Flags() *flag.FlagSet {
	fs := flag.NewFlagSet(e.Prog, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // report prints the one sentence
	return fs
}

// Parse reads the flags and checks that between min and max operands follow
// (max < 0: any number). The error is a usage error.
func (e *Env) Parse(fs *flag.FlagSet, min, max int) error {
	if err := fs.Parse(e.Args); err != nil {
		return Misused("%v", err)
	}
	switch n := fs.NArg(); {
	case n < min && max == min:
		return Misused("%d operands given; wanted %d", n, min)
	case n < min:
		return Misused("%d operands given; wanted at least %d", n, min)
	case max >= 0 && n > max:
		return Misused("%d operands given (%q ...); wanted at most %d", n, fs.Arg(max), max)
	}
	return nil
}

// ReadInput returns the bytes of the file name, or of standard input for "" and
// "-", and the name to use in messages. More than limit bytes are an error.
func (e *Env) ReadInput(name string, limit int64) ([]byte, string, error) {
	in, shown := e.Stdin, "<stdin>"
	if name != "" && name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, name, err
		}
		defer f.Close()
		in, shown = f, name
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = Refusedf("%s: larger than %d bytes", shown, limit)
	}
	return data, shown, err
}

// Version is the version of the build: the module's, or the commit's.
func Version() string {
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := bi.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range bi.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "devel"
}
