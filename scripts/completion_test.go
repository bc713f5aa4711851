package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asks is how a shell is made to complete the words after a program, the last of
// them begun; it prints the candidates, one a line.
var asks = map[string]string{
	"bash": `source "$1"; prog=$2; shift 2; COMP_WORDS=("$prog" "$@"); COMP_CWORD=$#
_${prog//-/_}; printf '%s\n' "${COMPREPLY[@]}"`,
	"zsh": `compdef() { : }; source "$1"; prog=$2; shift 2; words=("$prog" "$@"); CURRENT=$#words; PREFIX=$words[-1]
compadd() { shift; print -l -- "${(@M)@:#$PREFIX*}" }; _files() { : }; _${prog//-/_}`,
	"fish": `source $argv[1]; complete -C (string join ' ' -- $argv[2..-1])' ' >/dev/null; complete -C (string join ' ' -- $argv[2..-1]) | cut -f1`,
}

// TestCompletion has the real shells complete a verb, a flag and a bottle's name,
// by the scripts that the programs print.
func TestCompletion(t *testing.T) {
	state := t.TempDir()
	for _, name := range []string{"web", "worker"} {
		if err := os.Mkdir(filepath.Join(state, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		words string
		want  []string // are among the candidates
		never string   // is not
	}{
		{"superviser wa", []string{"watch"}, "_queue"},
		{"superviser approve -m", []string{"-methods"}, "-verify"},
		{"superviser show -bottle w", []string{"web", "worker"}, "-bottle"},
		{"routesctl mer", []string{"merge"}, "show"},
		{"routesctl apply -wa", []string{"-was"}, "-bottle"},
		{"pipemirror apply -re", []string{"-replace"}, "-n"},
		{"bottlerun ru", []string{"run"}, "stop"},
		{"bottlerun exec w", []string{"web", "worker"}, "-context"},
		{"bottlerun logs -f w", []string{"web", "worker"}, "-f"},
		{"bottlerun ls -", []string{"-v", "-json"}, "web"},
		{"egress-proxy -upstream", []string{"-upstream", "-upstream-ca"}, "-routes"},
	}
	for shell, ask := range asks {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(err)
			}
			for _, c := range cases {
				words := strings.Fields(c.words)
				script, err := exec.Command(filepath.Join(base, "bin", words[0]), "completion", shell).Output()
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "script")
				if err := os.WriteFile(file, script, 0o600); err != nil {
					t.Fatal(err)
				}
				args := []string{"--norc", "-c", ask, "bash"}
				switch shell {
				case "zsh":
					args = []string{"-f", "-c", ask, "zsh"}
				case "fish":
					args = []string{"--no-config", "-c", ask}
				}
				cmd := exec.Command(path, append(append(args, file), words...)...)
				cmd.Env = append(os.Environ(), "BOTTLE_DIR="+state, "HOME="+t.TempDir())
				out, err := cmd.CombinedOutput()
				got := strings.Fields(string(out))
				for _, w := range c.want {
					if err != nil || !slices.Contains(got, w) || slices.Contains(got, c.never) {
						t.Errorf("%s: got %q (%v), want %q and not %q", c.words, got, err, c.want, c.never)
						break
					}
				}
			}
		})
	}
}
