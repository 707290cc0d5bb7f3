package deps_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exported is how many names each package may export: constants, variables, functions and
// types, and the methods and fields of these types.
var exported = map[string]int{
	"merge":               13,
	"schema":              100,
	"storage":             169,
	"resource":            160,
	"resource/changes":    57,
	"resource/ingest":     65,
	"resource/typed":      42,
	"resource/httpapi":    75,
	"storage/memory":      13,
	"storage/recent":      23,
	"storage/coalesce":    16,
	"storage/storagetest": 32,
}

// TestExportedNames: an API grows on purpose, and by as many names as its line above.
func TestExportedNames(t *testing.T) {
	for pkg := range rules {
		if !public(pkg) {
			continue
		}
		most, ok := exported[pkg]
		assert.True(t, ok, "package %q has no bound", pkg)
		names := exportedNames(t, filepath.Join(root, pkg))
		assert.LessOrEqual(t, len(names), most, "package %q exports %d names: %s", pkg, len(names), strings.Join(names, " "))
	}
}

// exportedNames returns the names that a package exports.
func exportedNames(t *testing.T, folder string) (names []string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	add := func(of string, ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names = append(names, of+id.Name)
			}
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					add("", decl.Name)
				} else if of := receiver(decl.Recv.List[0].Type); of.IsExported() {
					add(of.Name+".", decl.Name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						add("", spec.Names...)
					case *ast.TypeSpec:
						add("", spec.Name)
						if !spec.Name.IsExported() {
							continue
						}
						for _, field := range members(spec.Type) {
							add(spec.Name.Name+".", field.Names...)
						}
					}
				}
			}
		}
	}
	return names
}

// members returns the fields of a struct and the methods of an interface.
func members(t ast.Expr) []*ast.Field {
	switch t := t.(type) {
	case *ast.StructType:
		return t.Fields.List
	case *ast.InterfaceType:
		return t.Methods.List
	}
	return nil
}

// receiver returns the name of a method's type, without * and type parameters.
func receiver(t ast.Expr) *ast.Ident {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	}
	return t.(*ast.Ident)
}

// TestCounting counts the names of a package that has every kind.
func TestCounting(t *testing.T) {
	assert.Equal(t, []string{
		"A", "C", "D", "F", "Store", "Store.Get", "List", "List.Len", "List.Next", "List.Add", "Pair", "Pair.Swap",
	}, exportedNames(t, filepath.Join("testdata", "counted")))
}
