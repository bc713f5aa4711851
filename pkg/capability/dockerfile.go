// Package capability is what an agent may ask of the image that its bottle is
// started from: another Dockerfile, and the image that the operator has had built
// from it for the next start.
package capability

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
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
	if d := directive.FindString(text); d != "" {
		return fmt.Errorf("%.60q names another parser; wanted none", strings.TrimSpace(d))
	}
	return nil
}

// directive is a parser directive that has an image of the author's choice read
// the file, or another character continue lines, so that it says something else
// than it seems to.
var directive = regexp.MustCompile(`(?im)^[ \t]*#[ \t]*(syntax|escape)[ \t]*=.*$`)

// An instruction is one of a Dockerfile, with its continued lines in one.
type instruction struct {
	line int
	name string // in upper case
	rest string
}

// instructions are those of text; the bodies of here-documents are part of theirs
// as far as their first line, and then look like others.
func instructions(text string) []instruction {
	var list []instruction
	var open *instruction
	for i, l := range strings.Split(text, "\n") {
		t := strings.TrimSpace(l)
		if t == "" || strings.HasPrefix(t, "#") {
			continue
		}
		more := strings.HasSuffix(t, `\`)
		t = strings.TrimSuffix(t, `\`)
		if open == nil {
			name, rest, _ := strings.Cut(t, " ")
			list = append(list, instruction{line: i + 1, name: strings.ToUpper(name), rest: strings.TrimSpace(rest)})
			open = &list[len(list)-1]
		} else {
			open.rest += " " + t
		}
		if !more {
			open = nil
		}
	}
	return list
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
			if len(words) == 3 && strings.EqualFold(words[1], "as") {
				stages = append(stages, strings.ToLower(words[2]))
			}
			continue
		}
		for _, m := range from.FindAllStringSubmatch(in.rest, -1) {
			if strings.Trim(m[1], "0123456789") != "" { // else the number of a stage
				add(m[1])
			}
		}
	}
	return list
}

// from is the image that COPY or a mount takes files from.
var from = regexp.MustCompile(`\bfrom=([^\s,]+)`)

func user(text string) string {
	name := ""
	for _, in := range instructions(text) {
		switch in.name {
		case "FROM":
			name = ""
		case "USER":
			name = in.rest
		}
	}
	return name
}
