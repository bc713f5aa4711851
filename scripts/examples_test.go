package scripts

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestExamples: every command of the documents runs: here, with the programs as
// they are built, or in the script or test that `shown` names.
func TestExamples(t *testing.T) {
	wanted := examples(t)
	if len(wanted) < 60 {
		t.Fatalf("only %d commands in the documents: %q", len(wanted), wanted)
	}
	for _, s := range steps {
		if _, ok := wanted[s.command]; !ok {
			t.Errorf("no document has the command %s", s.command)
		}
		delete(wanted, s.command)
	}
	for command, where := range shown {
		if _, ok := wanted[command]; !ok {
			t.Errorf("no document has the command %s", command)
		}
		if !appears(command, read(t, where)) {
			t.Errorf("%s has no line with the verb and the flags of: %s", where, command)
		}
		delete(wanted, command)
	}
	for command, page := range wanted {
		if !strings.HasPrefix(command, "make ") { // TestReadmeCommands
			t.Errorf("%s: no test runs: %s", page, command)
		}
	}
	t.Run("run", runSteps)
}

// shown are the commands that other tests run, with other operands.
var shown = map[string]string{
	"bottlerun exec web -- git status":      "scripts/dockerbottle_test.go",
	"bottlerun images":                      "scripts/dockeragent_test.go",
	"bottlerun init -image example/agent:1": "scripts/agents_test.go",
	"bottlerun run -- claude -p hello":      "bottlerun/testdata/plan.txtar",
	"bottlerun doctor":                      "bottlerun/testdata/doctor.txtar",
	"bottlerun doctor -v web":               "scripts/doctor_test.go",
	"egress-proxy -routes routes.yaml -ca-cert ca.pem -ca-key ca-key.pem":                     "egress-proxy/testdata/listen.txtar",
	"egress-proxy -listen 127.0.0.1:0 -routes routes.yaml -ca-cert ca.pem -ca-key ca-key.pem": "egress-proxy/testdata/reload.txtar",
	"egress-proxy -listen unix:sock -routes routes.yaml -ca-cert ca.pem -ca-key ca-key.pem":   "egress-proxy/testdata/listen.txtar",
	`superviser watch | while read -r line; do notify-send "$line"; done`:                     "superviser/testdata/watch.txtar",
	"superviser connect /run/superviser.sock":                                                 "superviser/testdata/connect.txtar",
}

// appears reports whether a line of text runs the program and verb of a command
// with all its flags.
func appears(command, text string) bool {
	command, _, _ = strings.Cut(command, " | ")
	words := strings.Fields(command)
	need := words[:1]
	if !strings.HasPrefix(words[1], "-") {
		need = words[:2]
	}
	for _, w := range words {
		if strings.HasPrefix(w, "-") && w != "--" {
			need = append(need, w)
		}
	}
	for line := range strings.Lines(text) {
		has := strings.Fields(strings.NewReplacer(`"`, " ", ",", " ", "(", " ").Replace(line))
		if !slices.ContainsFunc(need, func(w string) bool { return !slices.Contains(has, w) }) {
			return true
		}
	}
	return false
}

// aCommand is how a line of a document begins that people are to type.
var aCommand = regexp.MustCompile(`^(cd|echo|export|make|EDITOR=\S+|` + strings.Join(programs, "|") + `) `)

// examples are the commands of the documents, each with a page that has it.
func examples(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, p := range programs {
		for line := range strings.Lines(read(t, p+"/usage.txt")) {
			if command, ok := strings.CutPrefix(line, "example: "); ok {
				found[strings.TrimSpace(command)] = p + "/usage.txt"
			}
		}
		_, section, _ := strings.Cut(read(t, p+"/README.md"), "\n## EXAMPLES\n\n```\n")
		section, _, ok := strings.Cut(section, "```\n")
		if !ok {
			t.Errorf("%s/README.md has no examples", p)
		}
		for line := range strings.Lines(section) {
			found[strings.TrimSpace(line)] = p + "/README.md"
		}
	}
	pages, err := filepath.Glob("../docs/*.md")
	must(t, err)
	for _, page := range append(pages, "../README.md") {
		data, err := os.ReadFile(page)
		must(t, err)
		for _, line := range preformatted(string(data)) {
			line, _, _ = strings.Cut(line, "  #") // what it is for
			if line = strings.TrimSpace(line); aCommand.MatchString(line) {
				found[line] = page
			}
		}
	}
	return found
}

// preformatted are the lines of a page between fences or with four blanks before.
func preformatted(page string) (lines []string) {
	fenced := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		} else if fenced || strings.HasPrefix(line, "    ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestMentions: a command that a sentence names has a verb and flags that are there.
func TestMentions(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "*/README.md"} {
		found, err := filepath.Glob("../" + pattern)
		must(t, err)
		pages = append(pages, found...)
	}
	span := regexp.MustCompile("`((?:" + strings.Join(programs, "|") + ")(?: [^`]*)?)`")
	n := 0
	for _, page := range pages {
		data, err := os.ReadFile(page)
		must(t, err)
		text := strings.Join(strings.Fields(string(data)), " ")
		for _, m := range span.FindAllStringSubmatch(text, -1) {
			n++
			for command := range strings.SplitSeq(m[1], " | ") {
				if why := unknown(t, strings.Fields(command)); why != "" {
					t.Errorf("%s: `%s`: %s", page, m[1], why)
				}
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d commands in sentences", n)
	}
}

// unknown says what of a command is not in its program's usage.
func unknown(t *testing.T, words []string) string {
	t.Helper()
	if !slices.Contains(programs, words[0]) {
		return ""
	}
	usage := read(t, words[0]+"/usage.txt")
	rest := words[1:]
	if len(rest) > 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(rest[0]) {
		verb := words[0] + " " + rest[0]
		if rest[0] == "completion" { // of all of them
			return ""
		}
		_, section, ok := strings.Cut("\n"+usage, "\nusage: "+verb)
		if !ok {
			return "there is no such verb"
		}
		section, _, _ = strings.Cut(section, "\n\nusage: ")
		usage, rest = section+usageOfAll(usage), rest[1:]
	}
	for _, w := range rest {
		if w == "--" {
			break
		}
		if strings.HasPrefix(w, "-") && w != "-" && w != "-h" && w != "-version" && !strings.Contains(usage, w) {
			return w + " is no flag of it"
		}
	}
	return ""
}

// usageOfAll is the part of a usage that is about every verb.
func usageOfAll(usage string) string {
	first, _, _ := strings.Cut(usage, "\n\nusage: ")
	return first
}
