package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"

	"net/http"
	"path/filepath"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/ca"
	"bottle/pkg/cli"
)

// origin serves https://api.demo.test on a port of loopback until it is ended. It
// writes its authority, its address, and one line per request with the
// Authorization that it was sent into the folder DIR.
func origin(ctx context.Context, env *cli.Env) error {
	if len(env.Args) != 1 {
		return cli.Misused("wanted DIR")
	}
	dir := env.Args[0]
	cert, key, err := ca.New("demo origin", time.Now())
	if err != nil {
		return err
	}
	authority, err := ca.Load(cert, key)
	if err != nil {
		return err
	}
	leaf, err := authority.Leaf(host)
	if err != nil {
		return err
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*leaf}})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, "origin-ca.pem"), cert, 0o644); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, "origin.addr"), []byte(ln.Addr().String()+"\n"), 0o644); err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(env.Stdout, "%s https://%s%s  Authorization: %s\n", r.Method, r.Host, r.URL.Path, r.Header.Get("Authorization"))
		fmt.Fprintf(w, "hello from %s; you are logged in\n", host)
	})}
	context.AfterFunc(ctx, func() { srv.Close() })
	if err := srv.Serve(ln); err != http.ErrServerClosed && ctx.Err() == nil {
		return err
	}
	return nil
}

func randomHex() (string, error) {
	b := make([]byte, 16)
	_, err := rand.Read(b)
	return hex.EncodeToString(b), err
}
