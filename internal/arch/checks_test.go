package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// checkImports returns what breaks the rules about imports.
func checkImports(m *module) (breaches []string) {
	for pkg, files := range m.packages {
		for _, rule := range never {
			if in(pkg, rule.who...) {
				for _, way := range m.ways(pkg, rule.imports) {
					breaches = append(breaches, fmt.Sprintf("%s: %s", way, rule.because))
				}
			}
		}
		for _, f := range files {
			for _, d := range f.imports {
				for _, because := range forbidden(pkg, d) {
					breaches = append(breaches, fmt.Sprintf("%s: %s imports %s: %s", m.at(d.at), pkg, d.path, because))
				}
			}
		}
	}
	return breaches
}

// forbidden returns the reasons why a package may not have an import.
func forbidden(pkg string, d dependency) (reasons []string) {
	for _, rule := range only {
		if in(d.path, rule.imports) && !in(pkg, rule.who...) {
			reasons = append(reasons, rule.because)
		}
	}
	host, _, _ := strings.Cut(d.path, "/")
	for _, rule := range plain {
		if in(pkg, rule.who...) && (d.own || strings.Contains(host, ".")) {
			reasons = append(reasons, rule.because)
		}
	}
	return reasons
}

// ways returns the ways by which a package imports one of the targets, each from the place of
// the first import on.
func (m *module) ways(pkg string, targets []string) (ways []string) {
	seen := map[string]bool{}
	var walk func(pkg, way string)
	walk = func(pkg, way string) {
		for _, f := range m.packages[pkg] {
			for _, d := range f.imports {
				if !d.own || seen[d.path] {
					continue
				}
				seen[d.path] = true
				further := way + " imports " + d.path
				if way == pkg {
					further = m.at(d.at) + ": " + further
				}
				if in(d.path, targets...) {
					ways = append(ways, further)
				} else {
					walk(d.path, further)
				}
			}
		}
	}
	walk(pkg, pkg)
	return ways
}

// A ban is something that a pure package does without.
type ban struct {
	name    string
	imports []string                      // packages that are banned whole
	uses    func(f file, n ast.Node) bool // whether a piece of code is what is banned
	example string                        // a function that breaks the ban
}

var (
	network = ban{name: "the network", imports: []string{"net"}}
	system  = ban{name: "the operating system", imports: []string{"os", "syscall", "io/ioutil"}}
	clock   = ban{name: "the clock", uses: readsClock, example: `func f() { time.Sleep(1) }`}

	goroutines = ban{name: "goroutines", example: `func f() { go f() }`, uses: func(_ file, n ast.Node) bool {
		_, is := n.(*ast.GoStmt)
		return is
	}}
	channels = ban{name: "channels", example: `var c chan int`, uses: func(_ file, n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
			return true
		case *ast.UnaryExpr:
			return n.Op == token.ARROW
		}
		return false
	}}
)

// ofClock are the functions of package time that read the clock or wait for it.
var ofClock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// readsClock says whether n names one of them, called or not, or imports package time in a way
// that would hide it.
func readsClock(f file, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec:
		return n.Path.Value == `"time"` && n.Name != nil && n.Name.Name != "_"
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		return ok && x.Name == "time" && x.Obj == nil && slices.Contains(ofClock, n.Sel.Name) // Obj: a variable of that name
	}
	return false
}

// checkPure returns what breaks the rules about packages that only compute.
func checkPure(m *module) (breaches []string) {
	for pkg, files := range m.packages {
		for _, rule := range pure {
			if !in(pkg, rule.who...) {
				continue
			}
			for _, f := range files {
				for _, b := range rule.without {
					for _, p := range b.places(f) {
						breaches = append(breaches, fmt.Sprintf("%s: %s does without %s: %s", m.at(p), pkg, b.name, rule.because))
					}
				}
			}
		}
	}
	return breaches
}

// places returns where a file has what is banned.
func (b ban) places(f file) (places []token.Pos) {
	for _, d := range f.imports {
		if !d.own && in(d.path, b.imports...) {
			places = append(places, d.at)
		}
	}
	if b.uses == nil {
		return places
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		if n != nil && b.uses(f, n) {
			places = append(places, n.Pos())
		}
		return true
	})
	return places
}

// checkFunctions returns the functions that are too long.
func checkFunctions(m *module) (breaches []string) {
	for _, files := range m.packages {
		for _, f := range files {
			ast.Inspect(f.File, func(n ast.Node) bool {
				name := "a function"
				switch n := n.(type) {
				case *ast.FuncDecl:
					name = n.Name.Name
				case *ast.FuncLit:
				default:
					return true
				}
				// A doc comment is part of the declaration, but Pos is that of the word func.
				if lines := m.fset.Position(n.End()).Line - m.fset.Position(n.Pos()).Line + 1; lines > maxLines {
					breaches = append(breaches, fmt.Sprintf("%s: %s has %d lines, more than %d: divide it", m.at(n.Pos()), name, lines, maxLines))
				}
				return true
			})
		}
	}
	return breaches
}

// mapLine is a line of the map: a folder at its beginning, then what the folder is.
var mapLine = regexp.MustCompile(`(?m)^([a-z][\w./-]*)/[ \t]{2,}\S`)

// checkMap returns where the map in README.md and the folders differ.
func checkMap(m *module, readme string) (breaches []string) {
	for pkg := range m.packages {
		if pkg != "." && !regexp.MustCompile(`(^|[^\w./-])`+regexp.QuoteMeta(pkg)+`/([^\w.-]|$)`).MatchString(readme) {
			breaches = append(breaches, fmt.Sprintf("README.md: its map does not name %s/: add a line for it", pkg))
		}
	}
	for _, line := range mapLine.FindAllStringSubmatch(readme, -1) {
		if !slices.Contains(m.folders, line[1]) {
			breaches = append(breaches, fmt.Sprintf("README.md: its map names %s/, which is not there", line[1]))
		}
	}
	return breaches
}

var saysDefault = regexp.MustCompile(`(?i)\b(defaults?|required)\b`)

// checkConfig returns the exported fields of the root's Config whose comment does not say what
// they are when nobody sets them.
func checkConfig(m *module) (breaches []string) {
	found := false
	for _, f := range m.packages["."] {
		config, ok := structNamed(f, "Config")
		if !ok {
			continue
		}
		found = true
		for _, field := range config.Fields.List {
			if saysDefault.MatchString(field.Doc.Text() + field.Comment.Text()) {
				continue
			}
			for _, name := range field.Names {
				if name.IsExported() {
					breaches = append(breaches, fmt.Sprintf("%s: the comment of Config.%s does not say its default, or that it is required", m.at(name.Pos()), name.Name))
				}
			}
		}
	}
	if !found {
		breaches = append(breaches, "the root package has no struct Config")
	}
	return breaches
}

// structNamed finds a struct type in a file.
func structNamed(f file, name string) (*ast.StructType, bool) {
	for _, decl := range f.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok && t.Name.Name == name {
				s, ok := t.Type.(*ast.StructType)
				return s, ok
			}
		}
	}
	return nil, false
}
