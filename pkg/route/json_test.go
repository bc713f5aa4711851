package route

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestMarshalJSONParsesAgain(t *testing.T) {
	files, _ := filepath.Glob("testdata/valid/*.yaml")
	if len(files) == 0 {
		t.Fatal("no fixtures")
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Parse(name, data)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(map[string]any{"routes": append([]Route{}, want.Routes...)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(name, text)
		if err != nil {
			t.Errorf("%s as JSON: %v", name, err)
			continue
		}
		if got.Digest() != want.Digest() {
			t.Errorf("%s: another table as JSON:\n%s", name, text)
		}
	}
}
