package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// CanaryArgs is the command line of a process that listens on every address of
// the network it is started in, prints these as JSON, and ends with its standard
// input: for the self-test of an engine on another machine.
func CanaryArgs() []string { return []string{stageCanary} }

func canaryMain() int {
	addrs, done, err := OpenCanaries()
	defer done()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(addrs)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bottle: %v\n", err)
		return CannotStart
	}
	io.Copy(io.Discard, os.Stdin)
	return 0
}
