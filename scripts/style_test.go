package scripts

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mostFunction = 80  // lines
	mostFile     = 500 // lines; a longer one says why above its package clause
)

// TestShape: no function and no file of the programs is longer than the eye takes
// in, and every package and exported name says what it is.
func TestShape(t *testing.T) {
	documented := map[string]bool{} // by folder
	set := gotoken.NewFileSet()
	must(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || f.Doc != nil
		if n := set.File(f.Pos()).LineCount(); n > mostFile && (len(f.Comments) == 0 || f.Comments[0].Pos() > f.Package) {
			t.Errorf("%s has %d lines, and gives no reason at its top", path, n)
		}
		for _, d := range f.Decls {
			shape(t, set, d)
		}
		return nil
	}))
	if len(documented) < len(programs) {
		t.Fatalf("only %d packages", len(documented))
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: the package has no comment", dir)
		}
	}
}

// shape checks one declaration.
func shape(t *testing.T, set *gotoken.FileSet, d ast.Decl) {
	t.Helper()
	at := set.Position(d.Pos())
	switch d := d.(type) {
	case *ast.FuncDecl:
		if n := set.Position(d.End()).Line - at.Line + 1; n > mostFunction {
			t.Errorf("%v: %s has %d lines", at, d.Name.Name, n)
		}
		if undocumented(d) && !listed(set, d) {
			t.Errorf("%v: %s is exported and not documented", at, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			for _, name := range names(s) {
				if name.IsExported() && d.Doc == nil {
					t.Errorf("%v: %s is exported and not documented", set.Position(name.Pos()), name.Name)
				}
			}
		}
	}
}

// contracts are methods whose name is their contract, that of an interface.
var contracts = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Set": true, "Read": true, "Write": true, "Close": true}

func undocumented(d *ast.FuncDecl) bool {
	if d.Doc != nil || !d.Name.IsExported() {
		return false
	}
	if d.Recv == nil {
		return true
	}
	receiver := d.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if index, ok := receiver.(*ast.IndexExpr); ok {
		receiver = index.X
	}
	of, ok := receiver.(*ast.Ident)
	return !ok || of.IsExported() && !contracts[d.Name.Name]
}

// listed reports whether a function is a line of a list: state.Dir's are, with
// what each names behind it, where one can see all at once.
func listed(set *gotoken.FileSet, d *ast.FuncDecl) bool {
	from, to := set.Position(d.Pos()), set.Position(d.End())
	return filepath.ToSlash(from.Filename) == "../pkg/state/dir.go" && from.Line == to.Line
}

// names are those of a specification that its group's comment must speak of: a
// comment of its own does.
func names(s ast.Spec) []*ast.Ident {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil {
			return []*ast.Ident{s.Name}
		}
	case *ast.ValueSpec:
		if s.Doc == nil && s.Comment == nil {
			return s.Names
		}
	}
	return nil
}
