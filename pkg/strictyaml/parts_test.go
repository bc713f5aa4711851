package strictyaml

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// readWhole is the list of the one key "routes" as Document reads it.
func readWhole(data []byte) ([]*yaml.Node, bool) {
	root, faults := Document("f", data, Limits{})
	if len(faults) > 0 || root.Kind != yaml.MappingNode || len(root.Content) != 2 ||
		root.Content[0].Value != "routes" || root.Content[1].Kind != yaml.SequenceNode {
		return nil, false
	}
	return root.Content[1].Content, true
}

// compareParts reads data in parts of about size bytes and compares each node with
// what Document makes of the whole. It returns how many parts there were, 0 when
// data was not read in parts.
func compareParts(t *testing.T, data []byte, size int) int {
	t.Helper()
	ps := cut(data, Limits{}, "routes", size)
	if ps == nil {
		return 0
	}
	want, valid := readWhole(data)
	n, at := 0, 0
	var text []string
	for ; ps.More(); n++ {
		items, ok := ps.Next()
		if !ok {
			return 0
		}
		for _, item := range items {
			text = append(text, spell(item))
		}
		at += len(items)
	}
	if !valid {
		t.Fatalf("read in %d parts, and refused as a whole:\n%s", n, data)
	}
	for i := range max(len(want), len(text)) {
		if i >= len(text) || i >= len(want) || text[i] != spell(want[i]) {
			t.Fatalf("item %d of %d, %d differs in parts of %d:\n%s\n%v", i, len(text), len(want), size, data, text)
		}
	}
	return n
}

// spell writes all of a node that a reader can see.
func spell(n *yaml.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(%d %s %q %q %d %d:%d", n.Kind, n.Tag, n.Value, n.Anchor, n.Style, n.Line, n.Column)
	for _, child := range n.Content {
		b.WriteString(spell(child))
	}
	b.WriteByte(')')
	return b.String()
}

// rounds is how many damaged documents a test looks at.
var rounds = 5000

var partSeeds = []string{
	"routes:\n  - host: a.example\n    path_allowlist:\n      - /x\n      - /y z\n  - host: b\n    ports: [80, 443]\n",
	"# c\n---\n# d\nroutes: # e\n# f\n- host: a\n  role:\n  - x\n- host: b\n  expires: 2030-01-31T12:00:00Z\n\n- host: c\n",
	"routes:\n    - {host: a, ports: [1, 22]}\n    - {host: \"b\"}\n    # c\n    - host: c\n      note: |\n        - text\n\n    - host: d\n",
	"routes:\n  # a\n  - host: a\n    # b\n    path_allowlist:\n      # c\n      - /x\n    # d\n      # e\n# f\n\n  # g\n  - host: b # h\n  - host: c\n  # i\n",
	"routes:\n  - host: a # x\n    path_allowlist:\n      - /x  # }, {\n      - /y \n    methods: [GET, PUT]  # [\n  - {host: b} # y\n  - host: c#d\n    note: e # f\n",
	"routes: [ # x\n  # y\n  {host: a, ports: [80, # z\n  443]}, # }, {\n  # w\n  {host: b # v\n  , note: c}, # u\n  {host: c},# t\n  {host: d#e}, {host: f} # s\n] # r\n",
	"routes:\r\n  - host: a\r\n  - host: b\r\n  - host: c\r\n",
	`{"routes":[{"host":"a","ports":[80,443]},{"host":"b","methods":["GET","PUT"]},{"host":"é","note":"\/ }, { x"},{"host":"c"}]}`,
	"{\n\t\"routes\": [\n\t\t{\n\t\t\t\"host\": \"a\"\n\t\t},\n\t\t{\n\t\t\t\"host\": \"b\"\n\t\t}\n\t]\n}\n",
	"{\n  \"routes\": [\n    {\n      \"host\": \"a\"\n    },\n    {\n      \"host\": \"b\",\n      \"methods\": [\n        \"GET\"\n      ]\n    }\n  ]\n}\n",
	"routes: [\n  {host: a, note: 'x y', expires: 2030-01-31T12:00:00Z},\n  {host: b, ports: [80]}, {host: c, note: it's},\n]\n",
	"routes:\n  [{host: a}, {host: b, note: \"x\n  y\"}, {host: c,}, ]\n",
	"routes: [{a: [{b: c}, {d: e}]}, {f: g}]\n",
	"routes: [{a: \"}, {\", b: '}, {'}, {c: d} # }, {\n, {e: f}]\n",
	"routes:\n  - a: \"\n  - b: c\n  - d\"\n  - e: f\n",
	"routes:\n  - a: b\n  - c: d\n...\n  - e: f\n  - g: h\n",
	"routes:\n  - a: b\n---\n  - e: f\n  - g: h\n",
	"routes:\n  - a: b\nother:\n  - e: f\n  - g: h\n",
	"routes: [{a: b}, {c: d}], other: [{e: f}, {g: h}]\n",
	"{routes: [{a: b}, {c: d}], other: [{e: f}, {g: h}]}\n",
	"routes: [{a: b}, {c: d}] # e: [{f: g}, {h: i}]\n",
	"{routes: [{a: b}, {c: d}]} # e: [{f: g}, {h: i}]\n",
	"routes:\n  - a: b\n    c:\n  - d: e\n  -\n  - ? f\n  - ? - g\n  - h: i\n",
	"other: [{a: b}, {c: d}]\n",
	"routes:\n  - y: yes\n  - host: 10.0.0.1\n  - n: 0x1F\n  - a: 1e3\n  - a: 2030-13-31T12:00:00Z\n",
	"routes:\n  - a: b\n    a: c\n  - d: e\n  - f: g\n",
	"routes:\n  - a: &x b\n  - d: *x\n  - f: !t g\n",
	"routes:\n  - a: b\n    c:\n      - d\n     - e\n  - f: g\n",
	"routes:\n  - a: b c\n      d\n  - e: f\n    - g\n",
	"routes:\n  - a: b\n  -  c: d\n     e: f\n  - \n    g: h\n  -\n    i: j\n",
}

// Whatever can be read in parts is the same list as a whole.
func TestPartsAreTheWhole(t *testing.T) {
	read := 0
	for _, s := range partSeeds {
		for size := 1; size < len(s)/2; size += 3 {
			if compareParts(t, []byte(s), size) > 1 {
				read++
			}
		}
	}
	if read < 50 {
		t.Errorf("only %d readings in parts", read)
	}
}

// The usual styles are read in parts, and by the plain reader.
func TestPartsReadTheUsualStyles(t *testing.T) {
	for _, s := range []string{partSeeds[0], partSeeds[9], partSeeds[10]} {
		if n := compareParts(t, []byte(s), 1); n < 2 {
			t.Errorf("%d parts of\n%s", n, s)
		}
		ps := cut([]byte(s), Limits{}, "routes", 1)
		end, next := ps.find()
		if _, ok := ps.readPlain(ps.data[ps.at:end], next == len(ps.data)); !ok {
			t.Errorf("not plain:\n%s", ps.data[ps.at:end])
		}
	}
}

// shards are what has a meaning in YAML, to be strewn over the seeds.
var shards = []string{"\n", "\n  ", "\n    ", " ", "  ", "- ", "-", ": ", ":", ", ", ",", "{", "}", "[", "]", "\"", "'", "#", " # c", "\n  # d", "\n      # e", "\n# f", "a", "b: c", "host", "yes",
	"|", ">-", "\t", "\r\n", "...", "\n...", "---", "\n---\n", "&a ", "*a", "!t ", "! ", "80", "0", "-1", "1.5", "2030-01-31T12:00:00Z", "2030-01-31", "? ", "%", "~", "<<",
	"é", "\u2028", "\\n", "\\", "/", "//x", ".", "_", "}, {", "},{", "\n  - ", "\n- ", "null", "@", "`", "=", "A"}

// mutated is a seed with some bytes removed, doubled or replaced by shards.
func mutated(r *rand.Rand) []byte {
	data := []byte(partSeeds[r.IntN(len(partSeeds))])
	for range 1 + r.IntN(4) {
		i := r.IntN(len(data) + 1)
		j := min(len(data), i+r.IntN(4))
		switch r.IntN(4) {
		case 0:
			data = slices.Delete(data, i, j)
		case 1:
			k := min(len(data), i+r.IntN(24))
			data = slices.Insert(data, r.IntN(len(data)+1), slices.Clone(data[i:k])...)
		default:
			data = slices.Replace(data, i, i+r.IntN(2)*(j-i), []byte(shards[r.IntN(len(shards))])...)
		}
	}
	return data
}

// Random damage to the seeds is told alike in parts and as a whole.
func TestPartsOfDamagedDocuments(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	read := 0
	for range rounds {
		if compareParts(t, mutated(r), 1+r.IntN(60)) > 0 {
			read++
		}
	}
	if read < rounds/20 {
		t.Errorf("only %d of %d were read in parts", read, rounds)
	}
}

// FuzzParts: a document that is read in parts is valid as a whole, and each node
// has the same text, type and place.
func FuzzParts(f *testing.F) {
	for _, s := range partSeeds {
		f.Add([]byte(s), uint16(1))
		f.Add([]byte(s), uint16(len(s)/3))
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		if len(data) < 1<<14 {
			compareParts(t, data, max(1, int(size)))
		}
	})
}
