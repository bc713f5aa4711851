package h2

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"bottle/pkg/http1"
)

func TestZZServe(t *testing.T) {
	if os.Getenv("H2SERVE") == "" {
		t.Skip()
	}
	w := newSite(t, Config{Stall: 4 * time.Second}, func(s *Stream) {
		s.Respond(200, http1.Header{{Name: "Content-Type", Value: "text/plain"}}, false)
		if s.Head().Length != 0 {
			io.Copy(io.Discard, struct{ io.Reader }{s})
		}
		s.Write([]byte("hello, world"))
		s.End(nil)
	})
	os.WriteFile("/tmp/h2spec/addr", []byte(fmt.Sprint(w.ln.Addr().String())), 0644)
	time.Sleep(200 * time.Second)
}
