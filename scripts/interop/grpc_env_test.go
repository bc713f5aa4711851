package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestGRPCEnvironment: a client that knows nothing of bottles finds the proxy
// by HTTPS_PROXY and leaves the name to it.
func TestGRPCEnvironment(t *testing.T) {
	g := serveGRPC(t)
	mapper := serveMapper(t, fmt.Sprintf("127.0.0.1:%d", g.port))
	p := startProxy(t, g.signer, "routes: [{host: grpc.test}]\n", "-upstream", "http://"+mapper)
	cmd := role(t, "grpc", "HTTPS_PROXY=http://"+p.addr, "NO_PROXY=", "no_proxy=", "INTEROP_CA="+filepath.Join(p.dir, "ca.pem"))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if out, err := cmd.Output(); err != nil || string(out) != "hello" {
		t.Errorf("%v %q %s", err, out, &errs)
	}
}

// grpcMain is a program that makes one call to grpc.test and prints the answer.
func grpcMain() int {
	pem, err := os.ReadFile(os.Getenv("INTEROP_CA"))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var got wrapperspb.BytesValue
	if err == nil {
		var c *grpc.ClientConn
		c, err = grpc.NewClient("grpc.test:443", grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
		if err == nil {
			err = c.Invoke(ctx, methodEcho, wrapperspb.Bytes([]byte("hello")), &got)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Stdout.Write(got.Value)
	return 0
}
