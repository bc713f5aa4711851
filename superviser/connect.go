package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"bottle/pkg/cli"
)

// connect joins stdin and stdout to the socket of a serve -listen: the command
// that the agent's client starts. It ends when the other side has, after the end
// of stdin an orderly end.
func connect(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	path := fs.Arg(0)
	if path == "" {
		path = env.Getenv("BOTTLE_SUPERVISE")
	}
	if path == "" {
		return cli.Misused("no PATH, and BOTTLE_SUPERVISE is not set; wanted the socket of a superviser")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("%w\nhint: is 'superviser serve -listen unix:%s' running?", err, path)
	}
	defer c.Close()
	in, out := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := io.Copy(c, env.Stdin)
		in <- err // before the other side can answer the end with its own
		c.(*net.UnixConn).CloseWrite()
	}()
	go func() {
		_, err := io.Copy(env.Stdout, c)
		out <- err
	}()
	select {
	case <-ctx.Done():
		return nil
	case err = <-out:
	}
	select {
	case <-in:
		return err
	default:
	}
	return errors.Join(errors.New("the superviser has closed the connection"), err)
}
