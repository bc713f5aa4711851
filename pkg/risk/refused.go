package risk

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"time"

	"bottle/pkg/route"

	"golang.org/x/sys/unix"
)

// A Refusal is one refused request, as the access log has it.
type Refusal struct {
	Time    time.Time `json:"time"`
	Method  string    `json:"method"`
	Scheme  string    `json:"scheme"`
	Host    string    `json:"host"`
	Port    int       `json:"port"`
	Path    string    `json:"path"` // with the keys of its query
	Verdict string    `json:"verdict"`
	Code    string    `json:"code"`
}

// Recent is how old a refusal may be to count.
const Recent = time.Hour

// Cured is how many of the recent refusals the new table lets through and the
// old one does not.
func Cured(c Case) int {
	n := 0
	for _, r := range c.Refused {
		if c.At.Sub(r.Time) > Recent {
			continue
		}
		path, _, _ := strings.Cut(r.Path, "?")
		q := route.Query{Scheme: r.Scheme, Host: r.Host, Port: r.Port, Method: r.Method, Path: path, Now: c.At, Uses: c.Uses}
		if !c.Now.Match(q).Allow && c.Next.Match(q).Allow {
			n++
		}
	}
	return n
}

// tail is how much of the end of an access log is looked at: some thousand lines.
const tail = 1 << 20

// ReadRefusals reads the refusals among the last lines of the access log path.
// Without a log there are none.
func ReadRefusals(path string) ([]Refusal, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return nil, err
	}
	from := max(0, fi.Size()-tail)
	data, err := io.ReadAll(io.NewSectionReader(f, from, tail))
	if from > 0 {
		_, data, _ = bytes.Cut(data, []byte{'\n'})
	}
	return Refusals(data), err
}

// Refusals reads the refusals among whole lines of an access log; what is no
// line of it is left out.
func Refusals(lines []byte) []Refusal {
	var list []Refusal
	for line := range bytes.Lines(lines) {
		if !bytes.Contains(line, []byte(`"verdict":"block"`)) {
			continue
		}
		var r Refusal
		if json.Unmarshal(line, &r) == nil && r.Verdict == "block" && r.Host != "" {
			list = append(list, r)
		}
	}
	return list
}
