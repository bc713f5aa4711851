package cli

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// completion is what every program answers to "completion SHELL": a script for
// the shell, made from the verbs and the usage text, so that it cannot know other
// flags than the help does.
func completion(env *Env, usage string, verbs []Verb) error {
	shells := map[string]func(*strings.Builder, string, []completed){"bash": bashScript, "zsh": zshScript, "fish": fishScript}
	if len(env.Args) != 2 || shells[env.Args[1]] == nil {
		return Misused("wanted 'completion bash', 'completion zsh' or 'completion fish'")
	}
	var b strings.Builder
	shells[env.Args[1]](&b, env.Prog, completedOf(env.Prog, usage, verbs))
	_, err := io.WriteString(env.Stdout, b.String())
	return err
}

// completed is one verb, or the program itself with the name "".
type completed struct {
	name, what string
	flags      []completedFlag
	bottle     bool // its operand is a bottle
}

type completedFlag struct {
	name  string // with its dash
	value bool
}

func completedOf(prog, usage string, verbs []Verb) []completed {
	var list []completed
	for _, v := range verbs {
		if strings.HasPrefix(v.Name, "_") {
			continue
		}
		text := section(usage, prog, v.Name)
		c := completed{name: v.Name, flags: flagsIn(text), bottle: namesBottle(text)}
		if m := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(v.Name) + `  +(\S.*)$`).FindStringSubmatch(usage); v.Name != "" && m != nil {
			c.what = m[1]
		}
		list = append(list, c)
	}
	if len(list) != 1 || list[0].name != "" {
		list = append(list, completed{name: "completion", what: "a script for bash, zsh or fish"})
	}
	return list
}

// flagForm is a flag in a text: after a space or bracket, and a word in capitals
// behind it when it takes a value.
var flagForm = regexp.MustCompile(`(?m)(?:^  |[ \[(|])(-[a-z][a-z-]*)( [A-Z(][A-Za-z]*)?`)

// flagsIn are the flags of a usage text, each once: those of its "usage:" line
// with what continues it, and those that have a line of their own.
func flagsIn(text string) []completedFlag {
	var list []completedFlag
	synopsis, example := true, false
	for line := range strings.Lines(text) {
		synopsis = synopsis && strings.TrimSpace(line) != ""
		example = example || strings.HasPrefix(line, "example:")
		if !synopsis && (example || !strings.HasPrefix(line, "  -")) {
			continue
		}
		for _, m := range flagForm.FindAllStringSubmatch(line, -1) {
			i := slices.IndexFunc(list, func(f completedFlag) bool { return f.name == m[1] })
			if i < 0 && m[1] != "-h" {
				list = append(list, completedFlag{m[1], m[2] != ""})
			}
			if !synopsis {
				break // the rest of the line is words
			}
		}
	}
	return append(list, completedFlag{name: "-h"})
}

// namesBottle tells by the "usage:" line whether there is an operand NAME, which
// is a bottle's in every program; what follows a flag is the flag's.
func namesBottle(text string) bool {
	line, _, _ := strings.Cut(text, "\n")
	words := strings.Fields(line)
	for i, w := range words {
		if strings.Trim(w, "[]") == "NAME" && !strings.HasPrefix(strings.TrimLeft(words[i-1], "[("), "-") {
			return true
		}
	}
	return false
}

func (c completed) words() string {
	if c.name == "completion" {
		return "bash zsh fish"
	}
	var s []string
	for _, f := range c.flags {
		s = append(s, f.name)
	}
	return strings.Join(s, " ")
}

func verbWords(list []completed) string {
	var s []string
	for _, c := range list {
		if c.name != "" {
			s = append(s, c.name)
		}
	}
	return strings.Join(s, " ")
}

// shellName is the program's name in the name of a function.
func shellName(prog string) string { return "_" + strings.ReplaceAll(prog, "-", "_") }

// bottlesGlob are the folders of the bottles of this machine, in the language of
// bash and zsh.
const bottlesGlob = `"${BOTTLE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/bottle}"`

func bashScript(b *strings.Builder, prog string, list []completed) {
	fmt.Fprintf(b, "# Completion of %s for bash: source it, or put it into\n# ~/.local/share/bash-completion/completions/%s\n", prog, prog)
	fmt.Fprintf(b, "%s_bottles() {\n\tlocal dir\n\tfor dir in %s/*/; do\n\t\t[[ -d $dir ]] && dir=${dir%%/} && words+=\" ${dir##*/}\"\n\tdone\n}\n", shellName(prog), bottlesGlob)
	fmt.Fprintf(b, "%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n\tCOMPREPLY=()\n", shellName(prog))
	fmt.Fprintf(b, "\tif [[ $prev == -bottle ]]; then\n\t\t%s_bottles\n", shellName(prog))
	if verbWords(list) != "" {
		fmt.Fprintf(b, "\telif ((COMP_CWORD == 1)); then\n\t\twords=%q\n", verbWords(list))
	}
	b.WriteString("\telse\n\t\tcase ${COMP_WORDS[1]} in\n")
	for _, c := range list {
		if c.name == "completion" {
			fmt.Fprintf(b, "\t\tcompletion) words=%q ;;\n", c.words())
			continue
		}
		operand := ""
		if c.bottle {
			operand = " || " + shellName(prog) + "_bottles"
		}
		fmt.Fprintf(b, "\t\t%s) [[ $cur == -* ]] && words=%q%s ;;\n", or(c.name, "*"), c.words(), operand)
	}
	fmt.Fprintf(b, "\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F %s %s\n", shellName(prog), prog)
}

func zshScript(b *strings.Builder, prog string, list []completed) {
	fmt.Fprintf(b, "#compdef %s\n# Completion of %s for zsh: source it after compinit, or put it as _%s into a\n# folder of $fpath.\n", prog, prog, prog)
	fmt.Fprintf(b, "%s() {\n\tlocal -a list\n\tif [[ $words[CURRENT-1] == -bottle ]]; then\n\t\tlist=(%s/*(N/:t))\n", shellName(prog), bottlesGlob)
	if verbWords(list) != "" {
		fmt.Fprintf(b, "\telif ((CURRENT == 2)); then\n\t\tlist=(%s)\n", verbWords(list))
	}
	b.WriteString("\telse\n\t\tcase $words[2] in\n")
	for _, c := range list {
		if c.name == "completion" {
			fmt.Fprintf(b, "\t\tcompletion) list=(%s) ;;\n", c.words())
			continue
		}
		operand := ""
		if c.bottle {
			operand = fmt.Sprintf(" || list=(%s/*(N/:t))", bottlesGlob)
		}
		fmt.Fprintf(b, "\t\t%s) [[ $PREFIX == -* ]] && list=(%s)%s ;;\n", or(c.name, "*"), c.words(), operand)
	}
	fmt.Fprintf(b, "\t\tesac\n\tfi\n\tif (($#list)); then\n\t\tcompadd -- $list\n\telse\n\t\t_files\n\tfi\n}\n")
	fmt.Fprintf(b, "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n\t%s \"$@\"\nelse\n\tcompdef %s %s\nfi\n", shellName(prog), shellName(prog), prog)
}

func fishScript(b *strings.Builder, prog string, list []completed) {
	fmt.Fprintf(b, "# Completion of %s for fish: put it into ~/.config/fish/completions/%s.fish\n", prog, prog)
	fmt.Fprintf(b, "function _%s_bottles\n\tset -l dir $HOME/.local/state/bottle\n\tset -q XDG_STATE_HOME; and set dir $XDG_STATE_HOME/bottle\n\tset -q BOTTLE_DIR; and set dir $BOTTLE_DIR\n\tfor d in $dir/*/\n\t\tbasename $d\n\tend\nend\n", shellName(prog))
	for _, c := range list {
		when := ""
		if c.name != "" {
			fmt.Fprintf(b, "complete -c %s -n __fish_use_subcommand -f -a %s -d '%s'\n", prog, c.name, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(c.what))
			when = fmt.Sprintf(" -n '__fish_seen_subcommand_from %s'", c.name)
		}
		if c.name == "completion" {
			fmt.Fprintf(b, "complete -c %s%s -f -a '%s'\n", prog, when, c.words())
		}
		if c.bottle {
			fmt.Fprintf(b, "complete -c %s%s -f -a '(_%s_bottles)'\n", prog, when, shellName(prog))
		}
		for _, f := range c.flags {
			fmt.Fprintf(b, "complete -c %s%s -o %s", prog, when, f.name[1:])
			switch {
			case f.name == "-bottle":
				fmt.Fprintf(b, " -x -a '(_%s_bottles)'", shellName(prog))
			case f.value:
				b.WriteString(" -r")
			}
			b.WriteString("\n")
		}
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
