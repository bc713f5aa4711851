// Package marked puts tables into a page that has more than them.
package marked

import (
	"os"
	"strings"
)

// Write replaces what file holds between the lines "<!-- NAME -->" and
// "<!-- /NAME -->", or all of it where it has none.
func Write(file, name, text string) error {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if before, rest, ok := strings.Cut(string(old), begin); ok {
		if _, after, ok := strings.Cut(rest, end); ok {
			text = before + begin + text + end + after
		}
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
