package main

import (
	"os"
	"path/filepath"
	"testing"

	"bottle/pkg/route"
	"bottle/pkg/scripttest"
)

func TestMain(m *testing.M) {
	scripttest.Main(m, map[string]func() int{
		"routesctl": func() int { main(); return 0 },
	})
}

func TestScripts(t *testing.T) { scripttest.Run(t, "testdata") }

func TestExamplesParse(t *testing.T) {
	names, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d examples, %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		table, err := route.Parse(name, data)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range table.Warnings() {
			t.Error(w)
		}
	}
}
