package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", path))
	must(t, err)
	return string(data)
}

// TestMakeLists: 'make' alone prints every target with what it does.
func TestMakeLists(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command("make", "-s", "--no-print-directory")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if phony == nil {
		t.Fatal("the Makefile names no targets")
	}
	for _, target := range strings.Fields(phony[1]) {
		if !regexp.MustCompile(`(?m)^` + target + `\t\S`).Match(out) {
			t.Errorf("make does not list %s:\n%s", target, out)
		}
	}
}

// TestReadmes: each program's README has its usage verbatim, and its exit codes.
func TestReadmes(t *testing.T) {
	for _, p := range programs {
		data, err := os.ReadFile(filepath.Join("..", p, "README.md"))
		if err != nil {
			t.Error(err)
			continue
		}
		readme := string(data)
		if !strings.Contains(readme, "```\n"+read(t, p+"/usage.txt")+"```\n") {
			t.Errorf("%s: README.md does not contain usage.txt verbatim", p)
		}
		sections(t, p, readme)
		_, exit, _ := strings.Cut(readme, "## EXIT STATUS\n")
		exit, _, _ = strings.Cut(exit, "\n## ")
		for _, code := range []string{"0", "1", "2", "3"} {
			if !regexp.MustCompile(`\b` + code + `\b`).MatchString(exit) {
				t.Errorf("%s: EXIT STATUS does not name %s:\n%s", p, code, exit)
			}
		}
	}
}

// sections checks that a README has the order of a manual page.
func sections(t *testing.T, p, readme string) {
	t.Helper()
	at := -1
	for _, s := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "SIGNALS", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES", "SEE ALSO"} {
		i := strings.Index(readme, "\n## "+s+"\n")
		if i <= at {
			t.Errorf("%s: README.md has %s not in its place, or not at all", p, s)
			continue
		}
		at = i
	}
}

// TestReadmeCommands: what the README says to run is there.
func TestReadmeCommands(t *testing.T) {
	readme, makefile := read(t, "README.md"), read(t, "Makefile")
	for _, command := range []string{"make demo", "make test"} {
		if !strings.Contains(readme, command) {
			t.Errorf("README.md does not name %s", command)
		}
	}
	for _, m := range regexp.MustCompile("(?m)(?:^|`)\\s*make ([a-z-]+)").FindAllStringSubmatch(readme+read(t, "docs/bench.md"), -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("the documents name make %s, which is no target", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\bscripts/[a-z-]+`).FindAllString(readme+read(t, "DESIGN.md"), -1) {
		if _, err := os.Stat(filepath.Join("..", m)); err != nil {
			t.Error(err)
		}
	}
}

// TestDesignHasArrows: who imports whom is as DESIGN.md says.
func TestDesignHasArrows(t *testing.T) {
	cmd := exec.Command("scripts/arrows")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("arrows: %v, %q", err, out)
	}
	design := map[string]bool{}
	for line := range strings.Lines(read(t, "DESIGN.md")) {
		design[strings.TrimSpace(line)] = true
	}
	for line := range strings.Lines(string(out)) {
		if !design[strings.TrimSpace(line)] {
			t.Errorf("DESIGN.md lacks: %s", line)
		}
	}
}

// TestDesignHasFiles: its tables name every file that pkg/state knows.
func TestDesignHasFiles(t *testing.T) {
	_, tables, _ := strings.Cut(read(t, "DESIGN.md"), "\n## Files and signals\n")
	tables, _, _ = strings.Cut(tables, "\n## ")
	files := regexp.MustCompile(`d\.In\((?:"[^"]+", )?"([^"]+)"\)`).FindAllStringSubmatch(read(t, "pkg/state/dir.go"), -1)
	if len(files) < 15 {
		t.Fatalf("pkg/state/dir.go names only %q", files)
	}
	for _, m := range files {
		name := m[1]
		if _, ending, ok := strings.Cut(name, "routes.yaml"); ok && ending != "" {
			name = ending
		}
		if !strings.Contains(tables, name) {
			t.Errorf("DESIGN.md's tables lack %s", m[1])
		}
	}
}

// TestUsageTellsCodes: every section of a usage ends with its exit codes.
func TestUsageTellsCodes(t *testing.T) {
	for _, p := range programs {
		for i, section := range strings.Split(read(t, p+"/usage.txt"), "\n\nusage: ") {
			if i == 0 && !strings.Contains(section, "\nexit: 0 ") {
				t.Errorf("%s: the usage names no exit codes", p)
			}
			if !strings.Contains(section, "\nexit: ") && p != "pipemirror" { // which has the same for all
				t.Errorf("%s: a verb without exit codes: %.40s", p, section)
			}
		}
	}
}

// TestDecisions: each decision has a page with a status, and DESIGN.md names it.
func TestDecisions(t *testing.T) {
	design := read(t, "DESIGN.md")
	pages, err := filepath.Glob("../docs/decisions/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	status := regexp.MustCompile(`(?m)^Status: (accepted|superseded by \[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\))$`)
	for _, page := range pages {
		page = filepath.ToSlash(strings.TrimPrefix(page, "../"))
		if !status.MatchString(read(t, page)) {
			t.Errorf("%s has no status; wanted 'Status: accepted' or 'superseded by [NNNN](FILE)'", page)
		}
		if !strings.Contains(design, "("+page+")") {
			t.Errorf("DESIGN.md does not name %s", page)
		}
	}
}

// TestLinks: what the documents link to is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)
	pages := []string{"README.md", "DESIGN.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md", "*/README.md", "scripts/*/README.md"} {
		found, err := filepath.Glob("../" + pattern)
		must(t, err)
		for _, f := range found {
			pages = append(pages, strings.TrimPrefix(f, "../"))
		}
	}
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
