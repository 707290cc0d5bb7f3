package main

import (
	"os"
	"strings"
	"testing"
)

// TestREADME holds the schema in the README against the one here.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, declaration, found := strings.Cut(string(source), "\nvar orders")
	declaration, _, _ = strings.Cut(declaration, "\n\nfunc main")
	if !found || !strings.Contains(string(readme), "```go\nvar orders"+declaration+"\n```\n") {
		t.Error("the README does not hold the schema in main.go")
	}
}
