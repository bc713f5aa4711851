package main

import (
	"io"

	"bottle/pkg/accesslog"
	"bottle/pkg/proxy"
)

// openAccessLog is where the access log goes: "-" standard output, "none"
// nowhere, else a file that is appended to.
func openAccessLog(name string, stdout io.Writer) (*proxy.Lines, error) {
	switch name {
	case "none":
		return nil, nil
	case "-":
		return &proxy.Lines{W: stdout}, nil
	}
	f, err := accesslog.OpenFile(name)
	if err != nil {
		return nil, err
	}
	return &proxy.Lines{W: f}, nil
}
