package route

import (
	"bytes"
	"flag"
	"strings"
)

var update = flag.Bool("update", false, "rewrite the wanted files of testdata/merge")

// An archive is a comment and files, as golang.org/x/tools/txtar writes them.
type archive struct {
	comment string
	names   []string
	files   map[string]string
}

func parseArchive(data []byte) *archive {
	a := &archive{files: map[string]string{}}
	name := ""
	for line := range strings.Lines(string(data)) {
		rest, ok := strings.CutPrefix(line, "-- ")
		if n, good := strings.CutSuffix(rest, " --\n"); ok && good {
			name = n
			a.names = append(a.names, name)
			a.files[name] = ""
			continue
		}
		if name == "" {
			a.comment += line
			continue
		}
		a.files[name] += line
	}
	return a
}

func (a *archive) encode() []byte {
	var b bytes.Buffer
	b.WriteString(a.comment)
	for _, name := range a.names {
		b.WriteString("-- " + name + " --\n" + a.files[name])
	}
	return b.Bytes()
}
