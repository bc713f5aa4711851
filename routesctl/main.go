// Routesctl reads, edits, checks and installs the routes of a bottle: the hosts
// that it may reach. Its filters read files or standard input and write standard
// output; nothing is printed before it has succeeded. See README.md.
package main

import (
	_ "embed"

	"bottle/pkg/cli"
	"bottle/pkg/steward"
)

//go:embed usage.txt
var usage string

func main() { cli.Main("routesctl", usage, verbs...) }

var verbs = []cli.Verb{
	{Name: "fold", Run: fold},
	{Name: "profile", Run: profiles},
	{Name: "merge", Run: merge},
	{Name: "validate", Run: validate},
	{Name: "hosts", Run: hosts},
	{Name: "diff", Run: diff},
	{Name: "explain", Run: explain},
	{Name: "test", Run: test},
	{Name: "replay", Run: replay},
	{Name: "learn", Run: learnVerb},
	{Name: "show", Run: show},
	{Name: "apply", Run: apply},
	{Name: "add", Run: add},
	{Name: "save", Run: save},
	{Name: "edit", Run: edit},
	{Name: "history", Run: history},
	{Name: "rollback", Run: rollback},
	{Name: "list", Run: list},
	{Name: steward.Verb, Run: stewardVerb},
}
