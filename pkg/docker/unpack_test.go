package docker

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"testing"
)

// FuzzUnpack: whatever an engine sends as the copy of a path, no entry is outside of
// it, none is a link, and all together are within the limit.
func FuzzUnpack(f *testing.F) {
	for _, h := range []tar.Header{
		{Name: "a", Typeflag: tar.TypeReg, Size: 3},
		{Name: "../a", Typeflag: tar.TypeReg, Size: 3},
		{Name: "/", Typeflag: tar.TypeDir},
		{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"},
		{Name: "a", Typeflag: tar.TypeFifo},
		{Name: "a/b/../../../c", Typeflag: tar.TypeDir},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		w.Write([]byte("abc")[:h.Size])
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 100
		entries, err := unpack(bytes.NewReader(data), "v", limit)
		if err != nil {
			return
		}
		total := 0
		for _, en := range entries {
			if total += len(en.Data); !fs.ValidPath(en.Name) || en.Mode&^(fs.ModeDir|fs.ModePerm) != 0 || total > limit {
				t.Errorf("%q, mode %v, %d bytes so far", en.Name, en.Mode, total)
			}
		}
	})
}

// TestPackRefuses: what is not a plain name below the folder is not packed.
func TestPackRefuses(t *testing.T) {
	for _, en := range []Entry{{Name: "../x"}, {Name: "/x"}, {Name: ""}, {Name: "a/./b"}, {Name: "a\x00b"}, {Name: "l", Mode: fs.ModeSymlink}, {Name: "p", Mode: fs.ModeNamedPipe}} {
		if data, err := pack([]Entry{en}); err == nil {
			t.Errorf("%q, mode %v: packed into %d bytes", en.Name, en.Mode, len(data))
		}
	}
}
