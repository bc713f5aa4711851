package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	cases := []struct{ in, want string }{
		{`{"a":1,"b":[{"a":1}]}`, ""},
		{`"text"`, ""},
		{`{"a":1,"\u0061":2}`, `duplicate key "a"`},
		{`[{"b":{"x":1,"x":1}}]`, `duplicate key "x"`},
		{"\"\xff\"", "not valid UTF-8"},
		{`{"a":1}{"a":1}`, "not valid JSON"},
		{`{"a":1,}`, "not valid JSON"},
		{``, "not valid JSON"},
		{strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), ""},
		{strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), "nested deeper than 64"},
	}
	for _, c := range cases {
		got := ""
		if err := Check([]byte(c.in)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%.60s: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestDuplicateDepth(t *testing.T) {
	var d *DuplicateError
	if err := Check([]byte(`{"a":{"b":1,"b":1}}`)); !errors.As(err, &d) || d.Depth != 2 {
		t.Errorf("got %v, want a duplicate at depth 2", err)
	}
}

func TestUnmarshalIsExact(t *testing.T) {
	type doc struct {
		Host string          `json:"host"`
		Kelv string          `json:"k"`
		Raw  json.RawMessage `json:"raw"`
	}
	for in, ok := range map[string]bool{
		`{"host":"a","raw":{"x":"Value"}}`: true,
		`{"Host":"a"}`:                     false,
		`{"\u212a":"a"}`:                   false, // the Kelvin sign folds to k
		`{"other":"a"}`:                    false,
		`{"raw":{"Host":1}}`:               false,
		`{"raw":["Host",{"a":"Host"}]}`:    true,
		`{"host":"a","host":"b"}`:          false,
	} {
		var d doc
		if err := Unmarshal([]byte(in), &d); (err == nil) != ok {
			t.Errorf("%s: got %v, want ok %t", in, err, ok)
		}
	}
}

func TestEncodeKeepsRawBytes(t *testing.T) {
	got, err := Encode(map[string]any{"id": json.RawMessage(`"<\u0061\u2028>"`)})
	if want := "{\"id\":\"<\\u0061\\u2028>\"}\n"; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
