package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"bottle/scripts/bench/marked"
)

// A sample is one lap.
type sample struct {
	Cell   string `json:"cell"`
	Target string `json:"target"`
	Round  int    `json:"round"`
	Values values `json:"values,omitempty"`
	Error  string `json:"error,omitempty"`
}

type targetInfo struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Note    string `json:"note,omitempty"`
}

// A report is all that a run found.
type report struct {
	Machine string       `json:"machine"`
	Base    string       `json:"base"`
	Rounds  int          `json:"rounds"`
	Seconds float64      `json:"seconds"`
	Targets []targetInfo `json:"targets"`
	Left    []string     `json:"left_out,omitempty"`
	Samples []*sample    `json:"samples"`
}

// chooseBase checks the base, or takes nginx, else the first target.
func (r *report) chooseBase() error {
	has := func(name string) bool {
		return slices.ContainsFunc(r.Targets, func(t targetInfo) bool { return t.Name == name })
	}
	switch {
	case r.Base != "" && !has(r.Base):
		return fmt.Errorf("-base %s takes no part", r.Base)
	case r.Base == "" && has("nginx"):
		r.Base = "nginx"
	case r.Base == "":
		r.Base = r.Targets[0].Name
	}
	return nil
}

// write prints the tables to out, and to the files md and json where these are
// given.
func (r *report) write(out io.Writer, md, jsonFile string) error {
	text := r.tables()
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if md != "" {
		if err := marked.Write(md, "bench", text); err != nil {
			return err
		}
	}
	if jsonFile == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(data, '\n'), 0o644)
}

// tables is the report in Markdown: ratios first, then the figures.
func (r *report) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Ratios to %s: the median over %d rounds of (target / %s in the same round). Less is better.\n\n", r.Base, r.Rounds, r.Base)
	r.table(&b, true, func(c *cell, f figure, target string) string {
		if v := r.ratios(c.name, f.key, target); len(v) > 0 {
			return fmt.Sprintf("%.2f", median(v))
		}
		return "-"
	})
	fmt.Fprintf(&b, "\nFigures: the median of the rounds (least to most).\n\n")
	r.table(&b, false, func(c *cell, f figure, target string) string {
		v := r.found(c.name, f.key, target)
		if len(v) == 0 {
			return "-"
		}
		n := func(x float64) string { return fmt.Sprintf(f.format, x) }
		return fmt.Sprintf("%s (%s to %s)", n(median(v)), n(slices.Min(v)), n(slices.Max(v)))
	})
	r.remarks(&b)
	return b.String()
}

// table has a row for each figure that was measured, a column for each target.
func (r *report) table(b *strings.Builder, ratios bool, entry func(*cell, figure, string) string) {
	b.WriteString("| cell | figure |")
	for _, t := range r.Targets {
		fmt.Fprintf(b, " %s |", t.Name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---:|", len(r.Targets)) + "\n")
	for _, c := range cells {
		ran := slices.ContainsFunc(r.Samples, func(s *sample) bool {
			return s.Cell == c.name && s.Error == "" && (!ratios || s.Target == r.Base)
		})
		for _, f := range c.figures {
			if !ran || ratios && !f.ratio {
				continue
			}
			fmt.Fprintf(b, "| %s | %s |", title(c, ratios), f.label)
			for _, t := range r.Targets {
				fmt.Fprintf(b, " %s |", entry(c, f, t.Name))
			}
			b.WriteString("\n")
		}
	}
}

func title(c *cell, full bool) string {
	if full {
		return c.name + ": " + c.what
	}
	return c.name
}

// remarks tells who took part, who did not, and how quiet the machine was.
func (r *report) remarks(b *strings.Builder) {
	fmt.Fprintf(b, "\nMachine: %s; %.0f s.\n\n", r.Machine, r.Seconds)
	for _, t := range r.Targets {
		fmt.Fprintf(b, "- %s: %s\n", strings.TrimSpace(t.Name+" "+t.Version), t.Note)
	}
	for _, l := range r.Left {
		fmt.Fprintf(b, "- left out: %s\n", l)
	}
	var others []float64
	for _, s := range r.Samples {
		if s.Error != "" {
			fmt.Fprintf(b, "- %s failed in %s: %s\n", s.Target, s.Cell, s.Error)
		} else if o, ok := s.Values["others"]; ok {
			others = append(others, o)
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(b, "- other work on the machine meanwhile: %.2f cores in the median turn, %.2f at most\n", median(others), slices.Max(others))
	}
}

// found are the values of a figure, in the order of rounds.
func (r *report) found(cell, key, target string) (v []float64) {
	for _, s := range r.Samples {
		if s.Cell == cell && s.Target == target && s.Error == "" {
			v = append(v, s.Values[key])
		}
	}
	return v
}

// ratios are those of target to the base, of the rounds in which both came through.
func (r *report) ratios(cell, key, target string) (v []float64) {
	base := map[int]float64{}
	for _, s := range r.Samples {
		if s.Cell == cell && s.Target == r.Base && s.Error == "" {
			base[s.Round] = s.Values[key]
		}
	}
	for _, s := range r.Samples {
		if s.Cell == cell && s.Target == target && s.Error == "" && base[s.Round] > 0 {
			v = append(v, s.Values[key]/base[s.Round])
		}
	}
	return v
}

// median sorts v.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
