// Package deps_test writes the import graph of this module down, as
// go/build/deps_test.go does for the standard library.
package deps_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "example.com/resourcekit"

const (
	gjson     = "github.com/tidwall/gjson"
	sjson     = "github.com/tidwall/sjson"
	btree     = "github.com/tidwall/btree"
	uuid      = "github.com/google/uuid"
	testify   = "github.com/stretchr/testify/..."
	porcupine = "github.com/anishathalye/porcupine"
	crypto    = "golang.org/x/crypto/chacha20poly1305"
	internal  = "internal/..."
)

// rules says what each package may import beside the standard library, tests
// excluded. Names without a dot in their first element are packages of this
// module. A package without a rule is a mistake. net/http and testing are for
// those that name them.
var rules = map[string][]string{
	"merge":                     {gjson, sjson, internal},
	"schema":                    {gjson, uuid, internal},
	"storage":                   {uuid},
	"storage/memory":            {"storage", btree, uuid},
	"storage/recent":            {"storage"},
	"storage/coalesce":          {"storage"},
	"storage/storagetest":       {"storage", "testing", testify, porcupine, uuid},
	"resource":                  {"merge", "schema", "storage", gjson, uuid, internal, "resource/internal/overlay", "resource/internal/system", "resource/internal/seal"},
	"resource/changes":          {"resource", "schema", "storage", uuid, "resource/internal/system"},
	"resource/ingest":           {"resource", "schema", "storage", "resource/internal/overlay"},
	"resource/httpapi":          {"resource", "resource/changes", "schema", "storage", "net/http", uuid, internal},
	"resource/typed":            {internal},
	"resource/internal/overlay": {"storage"},
	"resource/internal/system":  {"storage", uuid},
	"resource/internal/seal":    {crypto},
	internal:                    {internal},
}

// onRequest are the packages of the standard library that take a rule.
var onRequest = []string{"net/http/...", "testing/..."}

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := make(map[string]bool)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			return skip(file, rel)
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		pkg := path.Dir(rel)
		seen[pkg] = true
		may, ok := ruleOf(pkg)
		if !assert.True(t, ok, "package %q has no rule", pkg) {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			assert.True(t, permitted(pkg, name, may), "%s: package %q must not import %q", rel, pkg, name)
		}
		return nil
	})
	require.NoError(t, err)
	for pkg := range rules {
		if pkg != internal {
			assert.True(t, seen[pkg], "a rule for %q, which is not there", pkg)
		}
	}
}

// skip leaves out nested modules, and what the go command leaves out.
func skip(dir, rel string) error {
	if rel == "." {
		return nil
	}
	base := path.Base(rel)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// public reports whether programs can import a package of the rules.
func public(pkg string) bool { return !strings.Contains(pkg+"/", "internal/") }

func ruleOf(pkg string) ([]string, bool) {
	if strings.HasPrefix(pkg, "internal/") {
		pkg = internal
	}
	may, ok := rules[pkg]
	return may, ok
}

func permitted(pkg, name string, may []string) bool {
	if local, ok := strings.CutPrefix(name, module+"/"); ok {
		return listed(may, local)
	}
	first, _, _ := strings.Cut(name, "/")
	if strings.Contains(first, ".") {
		return listed(may, name)
	}
	return !listed(onRequest, name) || listed(may, name)
}

// listed reports whether the list has the name, or a tree that it is in.
func listed(list []string, name string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		tree, ok := strings.CutSuffix(entry, "/...")
		return entry == name || ok && (name == tree || strings.HasPrefix(name, tree+"/"))
	})
}

// TestPermitted breaks the rules on purpose.
func TestPermitted(t *testing.T) {
	for _, tt := range []struct {
		pkg, name string
		want      bool
	}{
		{"merge", "bytes", true},
		{"merge", gjson, true},
		{"merge", sjson, true},
		{"merge", uuid, false},
		{"merge", module + "/internal/strictjson", true},
		{"merge", module + "/schema", false},
		{"merge", "net/http", false},
		{"schema", sjson, false},
		{"schema", module + "/merge", false},
		{"schema", module + "/storage", false},
		{"storage", module + "/internal/strictjson", false},
		{"storage", "testing", false},
		{"storage/memory", btree, true},
		{"storage/memory", module + "/storage/storagetest", false},
		{"storage/storagetest", "testing", true},
		{"storage/storagetest", "github.com/stretchr/testify/require", true},
		{"storage/storagetest", "github.com/stretchr/testifyx", false},
		{"resource", module + "/storage", true},
		{"resource", module + "/storage/memory", false},
		{"resource", module + "/resource/httpapi", false},
		{"resource", module + "/resource/ingest", false},
		{"resource", module + "/resource/changes", false},
		{"resource/changes", module + "/resource/httpapi", false},
		{"resource", "net/http", false},
		{"resource/ingest", module + "/resource", true},
		{"resource/ingest", module + "/resource/httpapi", false},
		{"resource/httpapi", module + "/resource/ingest", false},
		{"resource/httpapi", "net/http", true},
		{"resource/httpapi", module + "/merge", false},
		{"internal/strictjson", "sync", true},
		{"internal/strictjson", gjson, false},
		{"internal/strictjson", module + "/merge", false},
		{"internal/new", "net/http/httptest", false},
	} {
		may, ok := ruleOf(tt.pkg)
		require.True(t, ok, tt.pkg)
		assert.Equal(t, tt.want, permitted(tt.pkg, tt.name, may), "%s imports %s", tt.pkg, tt.name)
	}
	_, ok := ruleOf("helpers")
	assert.False(t, ok)
}
