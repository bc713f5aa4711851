// Man turns the README of a program into its manual page: man README.md >NAME.1.
// One text, two readers. It knows the Markdown that these files use and refuses
// what it does not know, rather than to print it wrong.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "man: %v\n", err)
		os.Exit(2)
	}
}

func run(args []string, w io.Writer) error {
	if len(args) != 1 {
		return errors.New("wanted one file, such as routesctl/README.md")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := convert(args[0], string(text), out); err != nil {
		return err
	}
	return out.Flush()
}
