package reload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestAwait(t *testing.T) {
	path := Path(filepath.Join(t.TempDir(), "routes.yaml"))
	read := func() (Status, error) { return Read(path) }
	newer := func(s Status) bool { return s.Generation > 1 }
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Await(short, newer, read); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"generation":`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil {
		t.Error("a cut file is no error")
	}
	want := Status{Digest: "d", Generation: 2, Error: "why", Uses: map[string]int64{"a.example": 3}}
	go Write(path, want)
	if got, err := Await(context.Background(), newer, read); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
}
