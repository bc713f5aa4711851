package scripttest

import (
	"bytes"
	"strings"
)

// An archive is a text file that holds files, in the format of
// golang.org/x/tools/txtar: a comment, then each file after a line
// "-- NAME --". In a script test the comment is the script.
type archive struct {
	comment []byte
	files   []file
}

type file struct {
	name string
	data []byte
}

// parseArchive reads data. There is no malformed archive: what does not look
// like a marker line is content.
func parseArchive(data []byte) *archive {
	a := new(archive)
	var name string
	a.comment, name, data = cutMarker(data)
	for name != "" {
		f := file{name: name}
		f.data, name, data = cutMarker(data)
		a.files = append(a.files, f)
	}
	return a
}

// cutMarker splits data at its first marker line. Without one the name is empty
// and before is all of data.
func cutMarker(data []byte) (before []byte, name string, after []byte) {
	for i := 0; i < len(data); {
		line, rest, _ := bytes.Cut(data[i:], []byte("\n"))
		if name := markerName(string(line)); name != "" {
			return data[:i], name, rest
		}
		i = len(data) - len(rest)
	}
	return withNewline(data), "", nil
}

// markerName is the NAME of the line "-- NAME --", or empty.
func markerName(line string) string {
	line = strings.TrimSuffix(line, "\r")
	if !strings.HasPrefix(line, "-- ") || !strings.HasSuffix(line, " --") || len(line) < len("-- x --") {
		return ""
	}
	return strings.TrimSpace(line[3 : len(line)-3])
}

// encode is the inverse of parseArchive.
func (a *archive) encode() []byte {
	var b bytes.Buffer
	b.Write(withNewline(a.comment))
	for _, f := range a.files {
		b.WriteString("-- " + f.name + " --\n")
		b.Write(withNewline(f.data))
	}
	return b.Bytes()
}

func withNewline(data []byte) []byte {
	if len(data) == 0 || data[len(data)-1] == '\n' {
		return data
	}
	return append(data[:len(data):len(data)], '\n')
}
