package capability

import (
	"fmt"
	"strings"
	"testing"

	"bottle/pkg/risk"
)

// TestRisksNameHiddenImages: however an image is spelt that a builder would
// fetch, the operator is told of it, or the text is refused.
func TestRisksNameHiddenImages(t *testing.T) {
	const from = "FROM debian:12\n"
	cases := map[string]string{
		"a tab":                   from + "FROM\tevil/x\n",
		"a word cut in two":       from + "FR\\\nOM evil/x\n",
		"a flag cut in two":       from + "RUN --mount=type=bind,fr\\\nom=evil/x,target=/t true\n",
		"a key in capitals":       from + "RUN --mount=type=bind,FROM=evil/x,target=/t true\n",
		"an escaped letter":       from + "RUN --mount=type=bind,fr\\om=evil/x,target=/t true\n",
		"a quoted value":          from + "COPY --from=\"evil/x\" /a /a\n",
		"a blank that is none":    from + "RUN true \\\u00a0\nFROM evil/x\n",
		"two backslashes":         from + "RUN true \\\\\nFROM evil/x\n",
		"a stage in a document":   from + "RUN <<EOF\nFROM debian:12 AS evil\nEOF\nFROM evil\n",
		"a document of odd name":  from + "RUN <<\"E F\"\nFROM debian:12 AS evil\nE F\nFROM evil\n",
		"a document's last word":  from + "RUN <<EOF\na \\\nEOF\nFROM evil/x\n",
		"a document with tabs":    from + "RUN <<-EOF\n\tFROM debian:12 AS evil\n\tEOF\nFROM evil\n",
		"an end with a tab":       from + "RUN <<EOF\n\tEOF\nFROM debian:12 AS evil\nEOF\nFROM evil\n",
		"a word in a label":       from + "LABEL a=\"<<\"\nFROM debian:12 AS stage\nFROM evil\n",
		"a second document":       from + "RUN <<A <<B\nA\nFROM debian:12 AS evil\nB\nFROM evil\n",
		"a stage under a comment": from + "# FROM debian:12 AS evil\nFROM evil\n",
	}
	if texts := strings.Join(risk.Texts(Risks(from+"USER agent\n", from+"USER root\nRUN <<EOF\nUSER agent\nEOF\n")), "\n"); !strings.Contains(texts, "user: ") {
		t.Errorf("a user behind a document is not named in\n%s", texts)
	}
	for name, text := range cases {
		if err := Check(text); err != nil {
			t.Logf("%s: refused: %v", name, err)
			continue
		}
		if texts := strings.Join(risk.Texts(Risks(from, text)), "\n"); !strings.Contains(texts, "image: evil") {
			t.Errorf("%s: not named in\n%s", name, texts)
		}
	}
}

// TestCheckRefusesAnArchive: docker takes a text on its standard input that is
// also an archive for a build context, whose Dockerfile is another.
func TestCheckRefusesAnArchive(t *testing.T) {
	h := []byte("FROM debian:12\nRUN true " + strings.Repeat("x", 512))[:512]
	field := func(at, size int, s string) { copy(h[at:at+size], s+strings.Repeat(" ", size-len(s))) }
	field(100, 8, "0000644")
	field(108, 8, "0000000")
	field(116, 8, "0000000")
	field(124, 12, "00000000000")
	field(136, 12, "00000000000")
	field(148, 8, "")
	h[156] = '0'
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	field(148, 8, fmt.Sprintf("%06o", sum))
	if err := Check(string(h) + "\nRUN true\n"); err == nil || !strings.Contains(err.Error(), "also an archive") {
		t.Errorf("got %v", err)
	}
}
