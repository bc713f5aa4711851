// Package strictjson reads JSON that has only one reading.
//
// encoding/json takes "Host" for "host", lets the last of two equal keys win
// and keeps invalid UTF-8 in a RawMessage. A second reader of the same bytes
// could so see another message than the one that was checked.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest in what this package takes.
const MaxDepth = 64

// A DuplicateError is a key that one object holds twice. Depth is 1 for the
// outermost object.
type DuplicateError struct {
	Key   string
	Depth int
}

func (e *DuplicateError) Error() string { return fmt.Sprintf("duplicate key %q", e.Key) }

// Check reports why data is not one JSON value in UTF-8 without duplicate keys
// and nested at most MaxDepth deep; nil if it is. A duplicate key is a
// *DuplicateError (RFC 8259 §4 leaves their meaning open).
func Check(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	if !json.Valid(data) {
		return errors.New("not valid JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return value(dec, 0)
}

// value walks over the next value; depth is that of what holds it.
func value(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	d, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	depth++
	if depth > MaxDepth {
		return fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	if d == '{' {
		err = members(dec, depth)
	} else {
		err = elements(dec, depth)
	}
	if err != nil {
		return err
	}
	_, err = dec.Token() // the closing delimiter
	return err
}

func elements(dec *json.Decoder, depth int) error {
	for dec.More() {
		if err := value(dec, depth); err != nil {
			return err
		}
	}
	return nil
}

func members(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		key := tok.(string) // json.Valid has seen to it
		if seen[key] {
			return &DuplicateError{key, depth}
		}
		seen[key] = true
		if err := value(dec, depth); err != nil {
			return err
		}
	}
	return nil
}

// Object returns the members of the object in data, which must have passed
// Check; keys are exact.
func Object(data []byte) (map[string]json.RawMessage, error) {
	if first := bytes.TrimLeft(data, " \t\r\n"); len(first) == 0 || first[0] != '{' {
		return nil, errors.New("not an object")
	}
	var m map[string]json.RawMessage
	err := json.Unmarshal(data, &m)
	return m, err
}

// Unmarshal stores data in v like json.Unmarshal, but refuses what Check
// refuses, keys that v does not know, and any key that is not of [a-z0-9_]: with
// those alone encoding/json's matching without case is exact.
func Unmarshal(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	if err := plainKeys(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// plainKeys reports the first key of valid JSON that has a byte outside
// [a-z0-9_].
func plainKeys(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var objects []bool // for each open level: is it an object?
	key := false       // the next string is a key
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if key {
			if s, ok := tok.(string); ok {
				if !plain(s) {
					return fmt.Errorf("unknown key %q", s)
				}
				key = false
				continue
			}
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			objects = append(objects, tok == json.Delim('{'))
		case json.Delim('}'), json.Delim(']'):
			objects = objects[:len(objects)-1]
		}
		key = len(objects) > 0 && objects[len(objects)-1]
	}
}

func plain(key string) bool {
	for i := 0; i < len(key); i++ {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Encode returns v as one line of JSON, with a newline, and leaves `<`, `>` and
// `&` as they are, so that a json.RawMessage in v comes out byte for byte.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
