package main

import (
	"os"
	"strings"
	"testing"

	"bottle/pkg/scripttest"
)

func TestMain(m *testing.M) {
	scripttest.Main(m, map[string]func() int{
		"superviser": func() int { main(); return 0 },
	})
}

func TestScripts(t *testing.T) { scripttest.Run(t, "testdata") }

func TestReadmeHasUsage(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```\n"+usage+"```\n") {
		t.Error("README.md does not contain usage.txt verbatim")
	}
}
