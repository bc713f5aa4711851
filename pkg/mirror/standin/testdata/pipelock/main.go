// Pipelock is the stand-in as a program of its own, for an image.
package main

import (
	"os"

	"bottle/pkg/mirror/standin"
)

func main() { os.Exit(standin.Main()) }
