package main

import (
	"os"
	"strings"
	"testing"
)

// TestREADME compares the program and its output in the README with main.go and the
// output of its Example.
func TestREADME(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme := read("../../README.md")
	_, program, _ := strings.Cut(read("main.go"), "package main\n")
	if !strings.Contains(readme, "```go\npackage main\n"+program+"```\n") {
		t.Error("the README does not have the program in main.go")
	}
	_, output, found := strings.Cut(read("main_test.go"), "// Output:\n")
	output, _, _ = strings.Cut(output, "\n}\n")
	output = strings.ReplaceAll(output, "\t// ", "") + "\n```"
	if !found || !strings.Contains(readme, "```text\n"+output) {
		t.Errorf("the README does not have the output\n%s", output)
	}
}
