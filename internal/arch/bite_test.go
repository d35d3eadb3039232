package arch

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// The tests here show that the rules can be broken: each makes a small module that breaks one,
// row by row, and one that does not.

// made makes a module, example.com/m, of the given files.
func made(t *testing.T, files map[string]string) *module {
	t.Helper()
	fsys := fstest.MapFS{"go.mod": {Data: []byte("module example.com/m\n\ngo 1.26\n")}}
	for name, text := range files {
		fsys[path.Clean(name)] = &fstest.MapFile{Data: []byte(text)}
	}
	m, err := load(fsys)
	require.NoError(t, err)
	return m
}

// importing is a file that imports a package, named as in the rules.
func importing(imported string) string {
	switch {
	case imported == ".":
		imported = "example.com/m"
	case in(imported, meaning...) || in(imported, "internal"):
		imported = "example.com/m/" + imported
	}
	return fmt.Sprintf("package p\n\nimport _ %q\n", imported)
}

func requireBreach(t *testing.T, breaches []string, place, because string) {
	t.Helper()
	require.Len(t, breaches, 1)
	require.True(t, strings.HasPrefix(breaches[0], place), breaches[0])
	require.Contains(t, breaches[0], because)
}

func TestNeverBites(t *testing.T) {
	for _, rule := range never {
		for _, who := range rule.who {
			for _, imports := range rule.imports {
				direct := made(t, map[string]string{who + "/a.go": importing(imports)})
				requireBreach(t, checkImports(direct), who+"/a.go:3: "+who+" imports "+imports, rule.because)

				round := made(t, map[string]string{
					who + "/a.go":       importing("internal/by"),
					"internal/by/b.go":  importing(imports),
					"internal/by/b2.go": importing("internal/kafka"),
				})
				requireBreach(t, checkImports(round),
					who+"/a.go:3: "+who+" imports internal/by imports "+imports, rule.because)

				test := made(t, map[string]string{who + "/a_test.go": importing(imports)})
				require.Empty(t, checkImports(test))
			}
		}
	}
}

func TestOnlyBites(t *testing.T) {
	for _, rule := range only {
		for _, imports := range []string{rule.imports, rule.imports + "/below"} {
			requireBreach(t, checkImports(made(t, map[string]string{"cmd/a.go": importing(imports)})), "cmd/a.go:3: cmd imports", rule.because)
			for _, who := range rule.who {
				require.Empty(t, checkImports(made(t, map[string]string{who + "/a.go": importing(imports)})))
			}
		}
		require.Empty(t, checkImports(made(t, map[string]string{"cmd/a.go": importing(rule.imports + "like")})))
	}
}

func TestPlainBites(t *testing.T) {
	for _, rule := range plain {
		for _, who := range rule.who {
			for _, imports := range []string{"internal/plan", "github.com/google/uuid"} {
				requireBreach(t, checkImports(made(t, map[string]string{who + "/a.go": importing(imports)})), who+"/a.go:3", rule.because)
			}
			require.Empty(t, checkImports(made(t, map[string]string{who + "/a.go": importing("net/http")})))
		}
	}
}

func TestPureBites(t *testing.T) {
	for _, rule := range pure {
		for _, who := range rule.who {
			for _, b := range rule.without {
				for _, i := range b.imports {
					breaches := checkPure(made(t, map[string]string{who + "/a.go": importing(i + "/below")}))
					requireBreach(t, breaches, who+"/a.go:3: "+who+" does without "+b.name, rule.because)
				}
				if b.uses != nil {
					m := made(t, map[string]string{who + "/a.go": "package p\n\n" + b.example})
					requireBreach(t, checkPure(m), who+"/a.go:3: "+who+" does without "+b.name, rule.because)
				}
			}
			fine := made(t, map[string]string{
				who + "/a.go":      "package p\n\nimport \"time\"\n\nfunc f(time interface{ Now() int }) int { return time.Now() }\n\nvar d = time.Second",
				who + "/a_test.go": "package p\n\nimport _ \"os\"\n\nfunc g() { go g() }",
			})
			require.Empty(t, checkPure(fine))
		}
	}
}

func TestClockAndChannelsInEveryForm(t *testing.T) {
	for code, breaches := range map[string]int{
		`import clock "time"`:                          1,
		`import . "time"`:                              1,
		"import \"time\"\nvar now = time.Now":          1, // not a call
		"import \"time\"\nvar t = time.NewTimer":       1,
		`func f(c interface{ C() int }) { select {} }`: 1,
		`func f() { c() <- 1 }`:                        1,
		`func f() { <-c() }`:                           1,
	} {
		require.Len(t, checkPure(made(t, map[string]string{"internal/task/a.go": "package p\n\n" + code})), breaches, code)
	}
}

func TestFunctionsBite(t *testing.T) {
	function := func(lines int) string {
		return "package p\n\n// Comments do not count.\nfunc f() {\n" + strings.Repeat("\tf()\n", lines-2) + "}\n"
	}
	require.Empty(t, checkFunctions(made(t, map[string]string{"p/a.go": function(maxLines), "p/a_test.go": function(maxLines + 1)})))
	requireBreach(t, checkFunctions(made(t, map[string]string{"p/a.go": function(maxLines + 1)})), "p/a.go:4: f has 71 lines", "divide it")

	literal := strings.Replace(function(maxLines+1), "func f() {", "var f = func() {", 1)
	requireBreach(t, checkFunctions(made(t, map[string]string{"p/a.go": literal})), "p/a.go:4: a function has 71 lines", "divide it")
}

func TestMapBites(t *testing.T) {
	m := made(t, map[string]string{
		"root.go":                  "package m",
		"state/a.go":               "package state",
		"internal/state/a_test.go": "package state",
		"p/testdata/a.go":          "no Go",
		"p/inner/go.mod":           "module inner",
		"p/inner/a.go":             "package inner",
		".hidden/a.go":             "package hidden",
		"docs/architecture.md":     "",
	})
	const whole = "The state is in:\n\nstate/            stores\ninternal/state/   more\ninternal/         the rest\ndocs/   texts\n"
	require.Empty(t, checkMap(m, whole))
	require.Empty(t, checkMap(m, "[stores](state/), `internal/state/`"))
	requireBreach(t, checkMap(m, strings.Replace(whole, "\nstate/", "\nstate", 1)), "README.md: its map does not name state/", "add a line")
	requireBreach(t, checkMap(m, whole+"gone/   was here\n"), "README.md: its map names gone/", "not there")
}

func TestConfigBites(t *testing.T) {
	config := func(fields string) []string {
		return checkConfig(made(t, map[string]string{"config.go": "package m\n\ntype Config struct {\n" + fields + "\n}\n"}))
	}
	require.Empty(t, config("// Name is required.\nName string\nWorkers int // 1 by default\n// Defaults to 2.\nA, B int\nhidden int"))
	requireBreach(t, config("Name string // of the application"), "config.go:4: the comment of Config.Name", "default")
	require.Len(t, config("A, B int"), 2)
	requireBreach(t, checkConfig(made(t, map[string]string{"p/config.go": "package p\n\ntype Config struct{}"})), "the root package has no struct Config", "")
}
