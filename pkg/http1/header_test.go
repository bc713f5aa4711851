package http1

import (
	"bufio"
	"reflect"
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	h := Header{{"Host", "a"}, {"X", "1"}, {"x", "2"}, {"Empty", ""}}
	if got := h.Get("X"); got != "1" {
		t.Errorf("Get: %q", got)
	}
	if got := h.Values("x"); !reflect.DeepEqual(got, []string{"1", "2"}) {
		t.Errorf("Values: %q", got)
	}
	if !h.Has("EMPTY") || h.Has("Y") || h.Has("Hos") {
		t.Error("Has")
	}
	if got := h.Del("x", "empty"); !reflect.DeepEqual(got, Header{{"Host", "a"}}) {
		t.Errorf("Del: %v", got)
	}
	if got := h.Set("x", "3"); !reflect.DeepEqual(got, Header{{"Host", "a"}, {"Empty", ""}, {"x", "3"}}) {
		t.Errorf("Set: %v", got)
	}
	if got := h.Add("Y", "4"); len(got) != 5 || got[4] != (Field{"Y", "4"}) {
		t.Errorf("Add: %v", got)
	}
	if want := (Header{{"Host", "a"}, {"X", "1"}, {"x", "2"}, {"Empty", ""}}); !reflect.DeepEqual(h, want) {
		t.Errorf("changed to %v", h)
	}
	if h := (Header{{"\u212aey", "a"}}); h.Has("Key") || h.Has("key") {
		t.Error("the Kelvin sign is not a k")
	}
}

// TestHeaderApart checks that two headers made of one do not share their ends.
func TestHeaderApart(t *testing.T) {
	h := append(make(Header, 0, 10), Field{"A", "1"})
	a, b := h.Del("x").Add("B", "2"), h.Set("x", "y")
	if a[1].Name != "B" || b[1].Name != "x" {
		t.Errorf("got %v and %v", a, b)
	}
}

func TestHasMember(t *testing.T) {
	h := Header{{"Connection", "keep-alive, Upgrade ,,x"}, {"connection", "\tclose"}}
	for member, want := range map[string]bool{"upgrade": true, "close": true, "X": true, "keep": false, "": true} {
		if got := h.HasMember("Connection", member); got != want {
			t.Errorf("%q: got %v", member, got)
		}
	}
}

func TestStripHopByHop(t *testing.T) {
	tests := map[string]struct{ in, want Header }{
		"nothing to strip": {Header{{"Host", "a"}, {"Trailer", "x"}}, Header{{"Host", "a"}, {"Trailer", "x"}}},
		"the known ones": {
			Header{{"A", "1"}, {"Connection", "close"}, {"keep-alive", "1"}, {"Proxy-Connection", "1"}, {"Proxy-Authenticate", "1"},
				{"PROXY-AUTHORIZATION", "1"}, {"te", "trailers"}, {"Transfer-Encoding", "chunked"}, {"Upgrade", "h2c"}, {"B", "2"}},
			Header{{"A", "1"}, {"B", "2"}}},
		"the named ones": {
			Header{{"X-Api-Key", "1"}, {"Connection", "x-api-key , ,Authorization"}, {"Authorization", "a"}, {"B", "2"}, {"AUTHORIZATION", "b"}, {"connection", "b"}},
			Header{}},
		"the critical ones too": {
			Header{{"Connection", "Host, Content-Length, Authorization"}, {"Host", "a"}, {"Content-Length", "3"}, {"Authorization", "x"}, {"A", "1"}},
			Header{{"A", "1"}}},
	}
	for name, tt := range tests {
		if got := tt.in.StripHopByHop(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func TestFrame(t *testing.T) {
	h := Header{{"A", "1"}, {"Content-Length", "7"}, {"Transfer-Encoding", "chunked"}}
	for length, want := range map[int64]Header{
		5:  {{"A", "1"}, {"Content-Length", "5"}},
		0:  {{"A", "1"}, {"Content-Length", "7"}},
		-1: {{"A", "1"}, {"Transfer-Encoding", "chunked"}},
		-2: {{"A", "1"}},
	} {
		if got := h.Frame(length); !reflect.DeepEqual(got, want) {
			t.Errorf("%d: got %v, want %v", length, got, want)
		}
	}
}

func TestAppend(t *testing.T) {
	h := Header{{"Host", "a"}, {"Evil", "x\r\nY: z"}, {"E vil", "x"}, {"", "x"}, {"B", ""}}
	got := string(AppendRequest([]byte(">"), "GET", "/x?y", h))
	if want := ">GET /x?y HTTP/1.1\r\nHost: a\r\nB: \r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got = string(AppendResponse(nil, 200, "OK", h))
	if want := "HTTP/1.1 200 OK\r\nHost: a\r\nB: \r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(AppendResponse(nil, 404, "a\r\nb", nil)); got != "HTTP/1.1 404 \r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestCheck checks that what Check accepts ReadRequest reads back the same.
func TestCheck(t *testing.T) {
	tests := map[string]struct {
		method, target string
		h              Header
		ok             bool
	}{
		"plain":              {"GET", "/", Header{{"host", "a"}, {"x", "\xff y"}}, true},
		"with length":        {"PUT", "/", Header{{"host", "a"}, {"content-length", "3"}}, true},
		"method with space":  {"GE T", "/", Header{{"host", "a"}}, false},
		"target with CRLF":   {"GET", "/ HTTP/1.1\r\nX: y", Header{{"host", "a"}}, false},
		"target with space":  {"GET", "/a b", Header{{"host", "a"}}, false},
		"target empty":       {"GET", "", Header{{"host", "a"}}, false},
		"name with colon":    {"GET", "/", Header{{"host", "a"}, {"x:y", "z"}}, false},
		"value with LF":      {"GET", "/", Header{{"host", "a"}, {"x", "y\nz"}}, false},
		"value behind space": {"GET", "/", Header{{"host", "a"}, {"x", " y"}}, false},
		"no host":            {"GET", "/", Header{{"x", "y"}}, false},
		"two hosts":          {"GET", "/", Header{{"host", "a"}, {"Host", "a"}}, false},
		"two lengths":        {"GET", "/", Header{{"host", "a"}, {"content-length", "1"}, {"content-length", "1"}}, false},
		"coding and length":  {"GET", "/", Header{{"host", "a"}, {"content-length", "1"}, {"transfer-encoding", "chunked"}}, false},
	}
	for name, tt := range tests {
		err := Check(tt.method, tt.target, tt.h)
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil {
			continue
		}
		wire := string(AppendRequest(nil, tt.method, tt.target, tt.h))
		req, err := ReadRequest(bufio.NewReader(strings.NewReader(wire)), Limits{})
		if err != nil || req.Method != tt.method || req.Target != tt.target || !reflect.DeepEqual(req.Header, tt.h) {
			t.Errorf("%s: read back %+v, %v", name, req, err)
		}
	}
}

func TestValid(t *testing.T) {
	for s, want := range map[string][3]bool{ // token, value, target
		"":        {false, true, false},
		"a-b":     {true, true, true},
		"a b":     {false, true, false},
		" a":      {false, false, false},
		"a\t":     {false, false, false},
		"a:b":     {false, true, true},
		"\xe9":    {false, true, false},
		"a\x00":   {false, false, false},
		"a\x7f":   {false, false, false},
		"a\rb":    {false, false, false},
		"!#$%&'*": {true, true, true},
	} {
		if got := [3]bool{ValidToken(s), ValidFieldValue(s), ValidTarget(s)}; got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}
