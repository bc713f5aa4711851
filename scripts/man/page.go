package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// A page is being written in the language of man(7).
type page struct {
	w     io.Writer
	file  string
	line  int
	lines []string
}

// convert writes the manual page of the README text. The first line names the
// program; each "## " is a section.
func convert(file, text string, w io.Writer) error {
	p := &page{w: w, file: file, lines: strings.Split(strings.TrimRight(text, "\n"), "\n")}
	title, ok := strings.CutPrefix(p.lines[0], "# ")
	if !ok {
		return p.fault(`wanted "# PROGRAM" first`)
	}
	name, _, _ := strings.Cut(title, "(")
	p.put(".TH %s 1 \"\" \"bottle\"\n", strings.ToUpper(name))
	for p.line = 1; p.line < len(p.lines); {
		if err := p.block(); err != nil {
			return err
		}
	}
	return nil
}

// block writes what begins at the current line, and goes past it.
func (p *page) block() error {
	line := p.lines[p.line]
	switch {
	case line == "":
		p.line++
	case strings.HasPrefix(line, "## "):
		p.put(".SH %s\n", inline(line[3:]))
		p.line++
	case strings.HasPrefix(line, "### "):
		p.put(".SS %s\n", inline(line[4:]))
		p.line++
	case strings.HasPrefix(line, "```"):
		return p.verbatim()
	case strings.HasPrefix(line, "|"):
		p.table()
	case strings.HasPrefix(line, "- "):
		p.item()
	case strings.HasPrefix(line, "#"):
		return p.fault("a heading of another level; wanted ## or ###")
	case strings.HasPrefix(line, "<"), strings.HasPrefix(line, "!["):
		return p.fault("HTML or a picture, which a manual page has not")
	default:
		p.put(".PP\n%s\n", p.paragraph())
	}
	return nil
}

// verbatim writes a fenced block as it is.
func (p *page) verbatim() error {
	p.put(".PP\n.RS 4\n.nf\n")
	for p.line++; p.line < len(p.lines); p.line++ {
		if p.lines[p.line] == "```" {
			p.line++
			p.put(".fi\n.RE\n")
			return nil
		}
		p.put("%s\n", escape(p.lines[p.line]))
	}
	return p.fault("a ``` without its end")
}

// table writes each row as a term, the first cell, with the rest below it. The
// head is dropped: a manual page's lists have none.
func (p *page) table() {
	rows := 0
	for ; p.line < len(p.lines) && strings.HasPrefix(p.lines[p.line], "|"); p.line++ {
		if rows++; rows <= 2 {
			continue
		}
		cells := cellsOf(p.lines[p.line])
		p.put(".TP\n%s\n%s\n", inline(cells[0]), inline(strings.Join(cells[1:], "; ")))
	}
}

// cellsOf splits a row at its bars; `\|` is a bar of the text.
func cellsOf(row string) []string {
	const bar = "\x00"
	row = strings.ReplaceAll(row, `\|`, bar)
	cells := strings.Split(strings.Trim(row, "|"), "|")
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(strings.TrimSpace(c), bar, "|")
	}
	return cells
}

// item writes one entry of a list.
func (p *page) item() {
	p.lines[p.line] = p.lines[p.line][2:]
	p.put(".IP \\(bu 3\n%s\n", p.paragraph())
}

// paragraph joins the lines up to the next block, and goes past them.
func (p *page) paragraph() string {
	var words []string
	for ; p.line < len(p.lines); p.line++ {
		line := p.lines[p.line]
		if line == "" || len(words) > 0 && begins.MatchString(line) {
			break
		}
		words = append(words, strings.TrimSpace(line))
	}
	return inline(strings.Join(words, "\n"))
}

// begins is what ends a paragraph without an empty line.
var begins = regexp.MustCompile("^(- |\\||```|#)")

var (
	link = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)
	mark = regexp.MustCompile("`([^`]+)`|\\*\\*([^*]+)\\*\\*|\\*([^* ][^*]*)\\*")
)

// inline writes text with its marks: code and strong are bold, emphasis is
// italic, a link is its text.
func inline(s string) string {
	s = link.ReplaceAllString(s, "$1")
	var b strings.Builder
	at := 0
	for _, m := range mark.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(escape(s[at:m[0]]))
		font, from, to := "B", m[2], m[3]
		switch {
		case m[4] >= 0:
			from, to = m[4], m[5]
		case m[6] >= 0:
			font, from, to = "I", m[6], m[7]
		}
		b.WriteString(`\f` + font + escape(s[from:to]) + `\fR`)
		at = m[1]
	}
	b.WriteString(escape(s[at:]))
	return guard(b.String())
}

// escape makes s safe from roff: a backslash is its own, a dash that one can
// copy, and no line begins with a request.
func escape(s string) string {
	return guard(strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s))
}

var request = regexp.MustCompile(`(?m)^([.'])`)

func guard(s string) string { return request.ReplaceAllString(s, `\&$1`) }

func (p *page) put(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

func (p *page) fault(msg string) error {
	return fmt.Errorf("%s:%d: %s", p.file, p.line+1, msg)
}
