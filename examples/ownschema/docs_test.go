package main

import (
	"os"
	"strings"
	"testing"
)

// TestDocs compares the schema in docs/schemas.md with the one in main.go.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/schemas.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, declaration, found := strings.Cut(string(source), "\nvar orders")
	declaration, _, _ = strings.Cut(declaration, "\n\nfunc main")
	if !found || !strings.Contains(string(page), "```go\nvar orders"+declaration+"\n```\n") {
		t.Error("docs/schemas.md does not have the schema in main.go")
	}
}
