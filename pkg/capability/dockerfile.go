// Package capability is what an agent may ask of the image that its bottle is
// started from: another Dockerfile, and the image that the operator has had built
// from it for the next start.
package capability

import (
	"archive/tar"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"bottle/pkg/risk"
)

// MaxBytes is the longest Dockerfile that is taken.
const MaxBytes = 64 << 10

// Check says what is wrong with text as a Dockerfile that is built for a bottle.
// It is built without any file beside it, so it can copy from images alone.
func Check(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("the Dockerfile is empty; wanted all of the new one")
	case len(text) > MaxBytes:
		return fmt.Errorf("the Dockerfile has %d bytes; wanted at most %d", len(text), MaxBytes)
	case !utf8.ValidString(text):
		return errors.New("the Dockerfile is not UTF-8")
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }); i >= 0 {
		return fmt.Errorf("line %d has the control byte %#02x; wanted lines that end in \\n, and tabs", 1+strings.Count(text[:i], "\n"), text[i])
	}
	if loc := doubled().FindStringIndex(text); loc != nil {
		return fmt.Errorf("line %d ends in two backslashes, which some builders read as one line with the next; wanted one or none", 1+strings.Count(text[:loc[0]], "\n"))
	}
	// The engine reads a Dockerfile on its standard input as an archive when it is one.
	if _, err := tar.NewReader(strings.NewReader(text)).Next(); err == nil {
		return errors.New("the Dockerfile is also an archive; wanted a text alone")
	}
	from := false
	for _, in := range instructions(text) {
		if in.name == "FROM" {
			from = true
		}
		if !from && in.name != "ARG" {
			return fmt.Errorf("line %d: %.40q before FROM; wanted FROM first", in.line, in.name)
		}
		if err := in.check(); err != nil {
			return fmt.Errorf("line %d: %w", in.line, err)
		}
	}
	if !from {
		return errors.New("the Dockerfile has no FROM")
	}
	if d := directive().FindString(text); d != "" {
		return fmt.Errorf("%.60q names another parser; wanted none", strings.TrimSpace(d))
	}
	return nil
}

// directive is a parser directive that has an image of the author's choice read
// the file, or another character continue lines, so that it says something else
// than it seems to.
var directive = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?im)^[ \t]*#[ \t]*(syntax|escape)[ \t]*=.*$`) })

// doubled is the end of a line on which builders differ.
var doubled = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)\\\\[ \t]*$`) })

// An instruction is one of a Dockerfile, with its continued lines in one.
type instruction struct {
	line int
	name string // in upper case
	rest string
	// inner: it stands in what is, or may be, the body of a here-document, so
	// that a builder may not take it for one.
	inner bool
}

// instructions are those of text. The bodies of here-documents look like others,
// as they do to builders that know none.
func instructions(text string) []instruction {
	var list []instruction
	var docs documents
	open := false
	for i, l := range strings.Split(text, "\n") {
		t := strings.Trim(l, " \t")
		if docs.ends(l) {
			open = false
			continue
		}
		if t == "" || strings.HasPrefix(t, "#") {
			continue
		}
		l = strings.TrimRight(l, " \t")
		more := strings.HasSuffix(l, `\`)
		l = strings.TrimSuffix(l, `\`)
		if !open {
			list = append(list, instruction{line: i + 1, inner: docs.inside()})
		}
		// Without a blank between: a word may go on on the next line.
		in := &list[len(list)-1]
		if in.rest += l; !more && !in.inner {
			docs.begin(in.rest)
		}
		open = more
	}
	for i := range list {
		in := &list[i]
		name, rest := strings.Trim(in.rest, " \t"), ""
		if at := strings.IndexAny(name, " \t"); at >= 0 {
			name, rest = name[:at], name[at:]
		}
		in.name, in.rest = strings.ToUpper(name), strings.Trim(rest, " \t")
	}
	return list
}

// documents are the here-documents that were begun and have not ended. In doubt
// one has begun, and does not end.
type documents struct {
	open []document
	lost bool // one was begun whose end is not known
}

// A document ends with a line that is its word; with a dash after tabs as well.
type document struct {
	word string
	dash bool
}

// word is what ends a here-document, as far as it is spelt plainly.
var word = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`<<(-?)(?:([A-Za-z0-9_.]+)|"([A-Za-z0-9_.]+)"|'([A-Za-z0-9_.]+)')(?:[ \t]|$)`)
})

func (d *documents) begin(line string) {
	found := word().FindAllStringSubmatch(line, -1)
	d.lost = d.lost || len(found) < strings.Count(line, "<<")
	for _, m := range found {
		d.open = append(d.open, document{m[2] + m[3] + m[4], m[1] != ""})
	}
}

func (d *documents) inside() bool { return d.lost || len(d.open) > 0 }

// ends reports whether the line ends the document that is open.
func (d *documents) ends(line string) bool {
	if len(d.open) == 0 {
		return false
	}
	if d.open[0].dash {
		line = strings.TrimLeft(line, "\t")
	}
	if line != d.open[0].word {
		return false
	}
	d.open = d.open[1:]
	return true
}

// check refuses what needs the files of a build context, of which there are none.
func (in instruction) check() error {
	if in.name != "COPY" && in.name != "ADD" {
		return nil
	}
	if in.name == "COPY" && strings.Contains(in.rest, "--from=") {
		return nil
	}
	if in.name == "ADD" && (strings.Contains(in.rest, "https://") || strings.Contains(in.rest, "http://")) {
		return nil
	}
	if strings.Contains(in.rest, "<<") {
		return nil
	}
	return fmt.Errorf("%s of a local file; there are none beside the Dockerfile: wanted COPY --from=IMAGE, ADD of a URL, or RUN", in.name)
}

// Risks is what building and starting an image of new means, where the bottle has
// one of old; the worst first.
func Risks(old, new string) []risk.Risk {
	list := []risk.Risk{{Level: risk.High, Text: "build: the commands of this Dockerfile run on your engine, with the network of a build and not behind the bottle's routes"}}
	had := images(old)
	for _, image := range images(new) {
		if !slices.Contains(had, image) {
			list = append(list, risk.Risk{Level: risk.High, Text: "image: " + image + " is fetched, if the engine has it not, and run"})
		}
	}
	if user(old) != user(new) {
		list = append(list, risk.Risk{Level: risk.Medium, Text: fmt.Sprintf("user: the image's user is %q (was %q)", user(new), user(old))})
	}
	list = append(list, risk.Risk{Level: risk.Low, Text: "next start: the running bottle stays as it is"})
	return list
}

// images are those that a Dockerfile starts from or copies from.
func images(text string) []string {
	var list, stages []string
	add := func(image string) {
		if image != "" && !slices.Contains(stages, strings.ToLower(image)) && !slices.Contains(list, image) {
			list = append(list, image)
		}
	}
	for _, in := range instructions(text) {
		words := strings.Fields(in.rest)
		if in.name == "FROM" {
			words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "--") })
			if len(words) > 0 {
				add(words[0])
			}
			if len(words) == 3 && strings.EqualFold(words[1], "as") && !in.inner {
				stages = append(stages, strings.ToLower(words[2]))
			}
			continue
		}
		for _, m := range from().FindAllStringSubmatch(unquoted.Replace(in.rest), -1) {
			if strings.Trim(m[1], "0123456789") != "" { // else the number of a stage
				add(m[1])
			}
		}
	}
	return list
}

// from is the image that COPY or a mount takes files from.
var from = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\bfrom=([^\s,]+)`) })

// unquoted takes off what a builder takes off the words of an instruction.
var unquoted = strings.NewReplacer(`"`, "", "'", "", `\`, "")

func user(text string) string {
	name := ""
	for _, in := range instructions(text) {
		switch {
		case in.inner && in.name == "USER":
			name += " or " + in.rest
		case in.inner:
		case in.name == "FROM":
			name = ""
		case in.name == "USER":
			name = in.rest
		}
	}
	return name
}
