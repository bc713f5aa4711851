// Idle is what runs in the containers of tests.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	args := append(os.Args[1:], "", "")
	switch args[0] {
	case "cat":
		io.Copy(os.Stdout, os.Stdin)
		return
	case "exit":
		n, _ := strconv.Atoi(args[1])
		fmt.Fprint(os.Stderr, "on purpose\x1b[2J\n")
		os.Exit(n)
	case "link":
		if err := os.Symlink("/etc/passwd", args[1]); err != nil {
			panic(err)
		}
		return
	}
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGHUP, syscall.SIGTERM)
	fmt.Println("ready")
	for s := range got {
		if s == syscall.SIGTERM {
			return
		}
		fmt.Println(s)
	}
}
