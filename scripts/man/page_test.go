package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestConvert(t *testing.T) {
	const text = "# prog(1)\n\n## NAME\n\nprog - does `-x`\n.dot \\ and **strong**, *soft*, [link](y.md)\n\n" +
		"## FILES\n\n| file | what |\n|---|---|\n| `a\\|b` | one |\n\n- an item\n  goes on\n- two\n\n```\n.TH -n\n```\n"
	const want = ".TH PROG 1 \"\" \"bottle\"\n.SH NAME\n.PP\nprog \\- does \\fB\\-x\\fR\n\\&.dot \\e and \\fBstrong\\fR, \\fIsoft\\fR, link\n" +
		".SH FILES\n.TP\n\\fBa|b\\fR\none\n.IP \\(bu 3\nan item\ngoes on\n.IP \\(bu 3\ntwo\n.PP\n.RS 4\n.nf\n\\&.TH \\-n\n.fi\n.RE\n"
	var b bytes.Buffer
	if err := convert("x", text, &b); err != nil || b.String() != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, b.String(), want)
	}
}

func TestConvertRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"no title\n", `x:1: wanted "# PROGRAM" first`},
		{"# p\n\n<b>\n", "x:3: HTML"},
		{"# p\n\n#### deep\n", "x:3: a heading"},
		{"# p\n```\nopen\n", "without its end"},
	} {
		if err := convert("x", c.text, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
}

// TestPages: groff has no complaint about any program's page, and shows its name.
func TestPages(t *testing.T) {
	for _, p := range []string{"egress-proxy", "routesctl", "superviser", "pipemirror", "bottlerun"} {
		var b bytes.Buffer
		if err := run([]string{"../../" + p + "/README.md"}, &b); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(b.String(), ".TH "+strings.ToUpper(p)+" 1 ") {
			t.Errorf("%s: the page begins %.60q", p, b.String())
		}
		if _, err := exec.LookPath("groff"); err != nil {
			continue // the page is checked as far as can be without it
		}
		cmd := exec.Command("groff", "-man", "-ww", "-Tutf8", "-Kutf8")
		cmd.Stdin = &b
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil || said.Len() > 0 {
			t.Errorf("%s: groff: %v\n%s", p, err, said.String())
		}
		if !strings.Contains(string(out), p) {
			t.Errorf("%s: the page does not show its name", p)
		}
	}
}
