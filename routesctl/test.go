package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
	"bottle/pkg/strictyaml"
)

// An expectation is one line of a test: what the table shall answer.
type expectation struct {
	line  int
	allow bool
	query route.Query
	text  string // METHOD URL as written
	why   string // the comment behind it
}

// A policyTest is a file of expectations.
type policyTest struct {
	file  string
	table string // the file that is tested, "" when it names none
	at    time.Time
	list  []expectation
}

// test checks what a table or manifest allows against a list of expectations.
func test(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	table := fs.String("table", "", "")
	if err := env.Parse(fs, 1, 1); err != nil {
		return err
	}
	data, shown, err := env.ReadInput(fs.Arg(0), 1<<20)
	if err != nil {
		return err
	}
	p, err := readTest(shown, data, time.Now())
	if err != nil {
		return refuse(env, err)
	}
	if *table == "" {
		*table = p.table
	}
	if *table == "" {
		return cli.Misused("%s names no table; wanted its first line \"table FILE\", or -table FILE", shown)
	}
	policy, err := readPolicy(env, *table)
	if err != nil {
		return err
	}
	return p.run(env, policy.table, *asJSON)
}

// readTest reads a test: lines "table FILE", "at TIME", "allow METHOD[,METHOD...]
// URL" and "deny ...", and comments. The error is strictyaml.Faults.
func readTest(file string, data []byte, now time.Time) (*policyTest, error) {
	p := &policyTest{file: file, at: now}
	var faults strictyaml.Faults
	for i, text := range strings.Split(string(data), "\n") {
		if msg, want := p.readLine(i+1, text); msg != "" {
			faults = append(faults, strictyaml.Fault{File: file, Line: i + 1, Col: 1, Msg: msg, Want: want})
		}
	}
	if len(p.list) == 0 && faults == nil {
		faults = strictyaml.Faults{{File: file, Line: 1, Col: 1, Msg: "no expectation", Want: "wanted lines such as: allow GET https://api.example.com/v1"}}
	}
	return p, faults.Err()
}

func (p *policyTest) readLine(number int, text string) (msg, want string) {
	text, why := comment(text)
	words := strings.Fields(text)
	if len(words) == 0 {
		return "", ""
	}
	switch first := words[0]; {
	case first == "table" && len(words) == 2 && p.table == "" && p.list == nil:
		p.table = words[1]
		if !filepath.IsAbs(p.table) && p.file != "<stdin>" {
			p.table = filepath.Join(filepath.Dir(p.file), p.table)
		}
	case first == "table":
		return "table is in the wrong place", "wanted one line \"table FILE\", before all expectations"
	case first == "at":
		at, err := time.Parse(time.RFC3339, strings.Join(words[1:], " "))
		if err != nil || p.list != nil {
			return "at is no time, or in the wrong place", "wanted \"at 2030-01-31T12:00:00Z\", before all expectations"
		}
		p.at = at
	case first != "allow" && first != "deny":
		return "unknown word " + strictyaml.Quote(first), "wanted allow, deny, table or at"
	case len(words) != 3:
		return first + " with " + fmt.Sprint(len(words)-1) + " words", "wanted METHOD URL, and a reason after #"
	default:
		return p.expect(number, first == "allow", words[1], words[2], why)
	}
	return "", ""
}

// expect adds an expectation for each of the methods, which have commas between
// them.
func (p *policyTest) expect(number int, allow bool, methods, url, why string) (msg, want string) {
	for method := range strings.SplitSeq(methods, ",") {
		q, err := route.NewQuery(method, url, p.at)
		if err != nil {
			msg, want, _ := strings.Cut(err.Error(), "; ")
			if want == "" {
				want = "wanted a URL such as https://api.example.com/v1"
			}
			return strictyaml.Quote(url) + ": " + msg, want
		}
		if method == "" {
			return "an empty method", "wanted GET, or GET,HEAD"
		}
		p.list = append(p.list, expectation{number, allow, q, method + " " + url, why})
	}
	return "", ""
}

// comment splits a line at the "#" that begins a word: one within a URL is its.
func comment(line string) (text, why string) {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i], strings.TrimSpace(line[i+1:])
		}
	}
	return line, ""
}

// A failure is an expectation that does not hold.
type failure struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Method string `json:"method"`
	URL    string `json:"url"`
	Want   string `json:"want"` // "allow" or "deny"
	Got    string `json:"got"`
	Why    string `json:"why,omitempty"` // the comment of the expectation
	Code   string `json:"code,omitempty"`
	Route  string `json:"route,omitempty"`
	Reason string `json:"reason"`
}

// run prints what does not hold, as a diff with the place before each.
func (p *policyTest) run(env *cli.Env, t *route.Table, asJSON bool) error {
	var b bytes.Buffer
	for _, x := range p.list {
		d := t.Match(x.query)
		if d.Allow == x.allow {
			continue
		}
		e := explanationOf(t, x.query)
		if !asJSON {
			fmt.Fprintf(&b, "%s:%d\n- %s %s%s\n+ %s %s  # %s\n", p.file, x.line, word(x.allow), x.text, behind(x.why), word(d.Allow), x.text, e.Reason)
			continue
		}
		method, url, _ := strings.Cut(x.text, " ")
		if err := printJSON(&b, failure{p.file, x.line, method, url, word(x.allow), word(d.Allow), x.why, e.Code, e.Route, e.Reason}); err != nil {
			return err
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if _, err := io.Copy(env.Stdout, &b); err != nil {
		return err
	}
	return cli.Exit(cli.No, cli.Silent)
}

func word(allow bool) string {
	if allow {
		return "allow"
	}
	return "deny"
}

func behind(why string) string {
	if why == "" {
		return ""
	}
	return "  # " + why
}
