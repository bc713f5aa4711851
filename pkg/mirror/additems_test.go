package mirror

import "testing"

func TestAddItems(t *testing.T) {
	for _, c := range [][2]string{
		{"", "clients:\n  - \"a\"\n  - \"b\"\n"},
		{"# words\nname: x # more\n", "# words\nname: x # more\nclients:\n  - \"a\"\n  - \"b\"\n"},
		{"name: x", "name: x\nclients:\n  - \"a\"\n  - \"b\"\n"},
		{"clients: [c] # why\nname: x\n", "clients: [c, \"a\", \"b\"] # why\nname: x\n"},
		{"clients:\n  - c # why\n\nname: x\n", "clients:\n  - c # why\n  - \"a\"\n  - \"b\"\n\nname: x\n"},
		{"clients: []\n", "clients: [\"a\", \"b\"]\n"},
		{"clients:\nname: x\n", "clients: [\"a\", \"b\"]\nname: x\n"},
		{"{name: x}\n", "{\"clients\": [\"a\", \"b\"], name: x}\n"},
		{"name: x\r\n", "name: x\r\nclients:\r\n  - \"a\"\r\n  - \"b\"\r\n"},
	} {
		got, err := AddItems("m", []byte(c[0]), "clients", []string{"a", "b"})
		if err != nil || string(got) != c[1] {
			t.Errorf("%q: got %q, %v; wanted %q", c[0], got, err, c[1])
		}
	}
	for _, bad := range []string{"clients: a\n", "clients: {a: b}\n", "- a\n", "a: &x [1\n", "clients: [[a]]\n"} {
		if got, err := AddItems("m", []byte(bad), "clients", []string{"a"}); err == nil {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}
