// Package accesslog reads the access log that egress-proxy writes, as it comes and
// however long it is. The agent chose what stands in it: hosts, paths and methods
// are data to be checked, and never to be shown as they are.
package accesslog

import (
	"bufio"
	"errors"
	"io"
	"time"
)

// A Line is one exchange; see proxy.Access for the fields. Path has the keys of
// the query and no values.
type Line struct {
	Time     string  `json:"time"`
	Method   string  `json:"method"`
	Scheme   string  `json:"scheme"`
	Host     string  `json:"host"`
	Port     int     `json:"port"`
	Path     string  `json:"path"`
	Route    string  `json:"route"`
	Verdict  string  `json:"verdict"`
	Code     string  `json:"code"`
	Reason   string  `json:"reason"`
	Status   int     `json:"status"`
	Sent     int64   `json:"sent"`
	Received int64   `json:"received"`
	Ms       float64 `json:"ms"`
	FirstMs  float64 `json:"first_ms"`
	Error    string  `json:"error"`
}

// When is the time of the exchange's start.
func (l *Line) When() (time.Time, error) { return time.Parse(time.RFC3339Nano, l.Time) }

// maxLine bounds a line: egress-proxy cuts what it logs, and writes far less.
const maxLine = 1 << 20

// A Count is how many lines a log has, and how many of them are none: torn by a
// kill, or somebody else's.
type Count struct{ Lines, Bad int }

// Read calls fn with each line of r in turn. A line that is none is counted and
// left out. The Line is used again for the next one; the strings in it stay. An
// error of fn ends the reading and is returned.
func Read(r io.Reader, fn func(*Line) error) (Count, error) {
	br := bufio.NewReaderSize(r, 256<<10)
	s := scanner{words: map[string]string{}}
	var n Count
	for {
		text, err := next(br)
		if err == io.EOF {
			return n, nil
		}
		if err != nil && !errors.Is(err, errLong) {
			return n, err
		}
		n.Lines++
		var l Line
		if err != nil || !s.line(text, &l) {
			n.Bad++
			continue
		}
		if err := fn(&l); err != nil {
			return n, err
		}
	}
}

var errLong = errors.New("a line that is too long")

// next is the next line, without its end. One that is too long is skipped.
func next(br *bufio.Reader) ([]byte, error) {
	text, err := br.ReadSlice('\n')
	if err == nil {
		return text[:len(text)-1], nil
	}
	var long []byte
	for size := 0; ; {
		if size += len(text); size <= maxLine {
			long = append(long, text...)
		}
		switch {
		case err == nil && size > maxLine:
			return nil, errLong
		case err == nil:
			return long[:len(long)-1], nil
		case err == io.EOF && size > 0 && size <= maxLine:
			return long, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		}
		text, err = br.ReadSlice('\n')
	}
}
