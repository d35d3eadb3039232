package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// module is the source of a Go module.
type module struct {
	fset     *token.FileSet
	packages map[string][]file // the files that are no tests, by folder; empty where all are
	folders  []string          // all folders
}

// file is a file of a package.
type file struct {
	*ast.File
	imports []dependency
}

// dependency is an import. Packages of the module itself go by their folders.
type dependency struct {
	path string
	own  bool
	at   token.Pos
}

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

// load reads the module whose root is the root of fsys.
func load(fsys fs.FS) (*module, error) {
	gomod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, err
	}
	name := moduleLine.FindSubmatch(gomod)
	if name == nil {
		return nil, errors.New("go.mod has no module line")
	}
	m := &module{fset: token.NewFileSet(), packages: map[string][]file{}}
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != ".":
			m.folders = append(m.folders, p)
			return skip(fsys, p)
		case path.Ext(p) == ".go":
			return m.parse(fsys, p, string(name[1]))
		}
		return nil
	})
	return m, err
}

// skip tells WalkDir to leave out what the go command leaves out: hidden folders, test data,
// and modules inside this one.
func skip(fsys fs.FS, dir string) error {
	base := path.Base(dir)
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	if err == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	return nil
}

func (m *module) parse(fsys fs.FS, name, modulePath string) error {
	dir := path.Dir(name)
	m.packages[dir] = append(m.packages[dir], nil...)
	if strings.HasSuffix(name, "_test.go") {
		return nil
	}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(m.fset, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	f := file{File: syntax}
	for _, spec := range syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		d := dependency{path: p, at: spec.Pos()}
		if p == modulePath {
			d.path, d.own = ".", true
		} else if below, ok := strings.CutPrefix(p, modulePath+"/"); ok {
			d.path, d.own = below, true
		}
		f.imports = append(f.imports, d)
	}
	m.packages[dir] = append(m.packages[dir], f)
	return nil
}

// at returns a place in the source, as path:line.
func (m *module) at(p token.Pos) string {
	position := m.fset.Position(p)
	return fmt.Sprintf("%s:%d", position.Filename, position.Line)
}

// in says whether a package is one of those named, or below one.
func in(pkg string, named ...string) bool {
	return slices.ContainsFunc(named, func(n string) bool {
		return pkg == n || n != "." && strings.HasPrefix(pkg, n+"/")
	})
}
