package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"gopkg.in/yaml.v3"
)

// searchMax is up to what size the line of a syntax error is searched for, in
// bytes; beyond it the parser's own word is taken.
const searchMax = 64 << 10

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntaxFault is the parser's error with its line. The parser names the line
// where the surrounding list or mapping began, sometimes one off, sometimes none
// at all; the first line with which the text fails in the same way is the line
// to look at.
func syntaxFault(name string, data []byte, err error) Fault {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	if len(data) <= searchMax {
		line = failingLine(data, err.Error())
	}
	return Fault{name, line, 1, "not YAML: " + msg, syntaxWant(msg)}
}

func syntaxWant(msg string) string {
	switch {
	case strings.HasPrefix(msg, "did not find expected alphabetic or numeric character"),
		strings.HasPrefix(msg, "unknown anchor"):
		return `wanted quotes around a text that begins with *: "*.example.com"`
	case strings.Contains(msg, "cannot start any token"):
		return "wanted spaces for indentation and quotes around a text that begins with a sign"
	}
	return "wanted one well-formed YAML document"
}

// failingLine is the number of the first line up to which data fails with the
// error want. Prefixes that fail so are all from that line on, so halving finds it.
func failingLine(data []byte, want string) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	ends := make([]int, len(lines))
	for i, n := 0, 0; i < len(lines); i++ {
		n += len(lines[i])
		ends[i] = n
	}
	low, high := 0, len(lines)-1
	for low < high {
		mid := (low + high) / 2
		if firstError(data[:ends[mid]]) == want {
			high = mid
		} else {
			low = mid + 1
		}
	}
	if len(lines[low]) == 0 && low > 0 { // what follows the last line break
		return low
	}
	return low + 1
}

// firstError is the text of the first error in data, "" when there is none.
func firstError(data []byte) string {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := decode(dec, &n)
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			return err.Error()
		}
	}
}

// fromJSON writes the escapes of a JSON text (RFC 8259 §7) that the YAML parser
// does not know as ones that it does: "\/", and a surrogate pair such as
// "\ud83d\ude00". Any other text is returned as it is.
func fromJSON(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u`)) && !bytes.Contains(data, []byte(`\/`)) || !json.Valid(data) {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if data[i] != '\\' {
			out = append(out, data[i])
			i++
			continue
		}
		high, low := escapeAt(data, i), escapeAt(data, i+6)
		switch r := utf16.DecodeRune(high, low); {
		case r != '\uFFFD':
			out = fmt.Appendf(out, `\U%08X`, r)
			i += 12
		case data[i+1] == '/': // valid JSON: something follows a backslash
			out = append(out, '/')
			i += 2
		default:
			out = append(out, data[i], data[i+1])
			i += 2
		}
	}
	return out
}

// escapeAt is the code unit of the escape \uXXXX at offset i, 0 when there is none.
func escapeAt(data []byte, i int) rune {
	if i+6 > len(data) || data[i] != '\\' || data[i+1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(data[i+2:i+6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}
