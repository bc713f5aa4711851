package capability

import (
	"strings"
	"testing"
	"time"

	"bottle/pkg/risk"
	"bottle/pkg/state"
)

func TestCheck(t *testing.T) {
	const from = "FROM debian:12\n"
	cases := map[string]string{ // a text and what is wrong with it
		from: "",
		"ARG V=12\nFROM debian:$V\nRUN apt-get update \\\n && apt-get install -y gcc\n": "",
		from + "COPY --from=golang:1 /usr/local/go /usr/local/go\n":                     "",
		from + "ADD https://example.com/x /x\nCOPY <<EOF /y\nhello\nEOF\n":              "",
		" \n":                                       "empty",
		"RUN true\n":                                "before FROM",
		"# only words\n":                            "no FROM",
		from + "COPY . /src\n":                      "line 2: COPY of a local file",
		from + "add x.tar /\n":                      "line 2: ADD of a local file",
		from + "RUN \x1b[2J\n":                      "control byte 0x1b",
		from + "RUN a\x00b\n":                       "control byte 0x00",
		from + "RUN \xff\n":                         "not UTF-8",
		"#syntax=evil/parser\n" + from:              "names another parser",
		"# escape=`\n" + from:                       "names another parser",
		from + "# " + strings.Repeat("x", MaxBytes): "at most 65536",
	}
	for text, want := range cases {
		err := Check(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
}

func TestRisks(t *testing.T) {
	old := "FROM debian:12\nUSER agent\n"
	new := "FROM golang:1 AS go\nRUN true\nFROM debian:12\nCOPY --from=go /a /a\nCOPY --from=0 /b /b\nRUN --mount=type=bind,from=private/tools,target=/t true\n"
	texts := strings.Join(risk.Texts(Risks(old, new)), "\n")
	for _, want := range []string{"build: ", "image: golang:1 is", "image: private/tools is", `user: the image's user is "" (was "agent")`} {
		if !strings.Contains(texts, want) {
			t.Errorf("no %q in\n%s", want, texts)
		}
	}
	if strings.Contains(texts, "debian") || strings.Contains(texts, "image: go ") {
		t.Errorf("what was there, or a stage, is called new:\n%s", texts)
	}
}

// TestNext: an approved image holds until the operator changes the manifest's
// Dockerfile.
func TestNext(t *testing.T) {
	dir := state.Dir(t.TempDir())
	if _, ok, err := Next(dir, "FROM a"); ok || err != nil {
		t.Errorf("before: %t, %v", ok, err)
	}
	img := Image{Image: Tag("web", "FROM b"), Base: Sum("FROM a"), Proposal: "0123456789ab-1", Built: time.Now().UTC().Round(0), Dockerfile: "FROM b"}
	if err := Save(dir, img); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := Next(dir, "FROM a"); !ok || err != nil || got != img {
		t.Errorf("got %+v, %t, %v; want %+v", got, ok, err, img)
	}
	if _, ok, err := Next(dir, "FROM a # newer"); ok || err != nil {
		t.Errorf("after a change: %t, %v", ok, err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("FROM a\nRUN b\\\n c\n")
	f.Add("# escape=`\nFROM a\nCOPY --from=b c d")
	f.Fuzz(func(t *testing.T, text string) {
		if Check(text) == nil && (len(text) > MaxBytes || strings.ContainsAny(text, "\x00\x1b\r")) {
			t.Errorf("%q passed", text)
		}
		Risks("FROM a\n", text)
	})
}
