package deps_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// pages returns the Markdown files of the repository by their paths, without what
// stands in fenced code.
func pages(t *testing.T) map[string][]string {
	pages := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		code := false
		for _, line := range lines(t, path) {
			if strings.HasPrefix(line, "```") {
				code = !code
			} else if !code {
				pages[path] = append(pages[path], line)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	return pages
}

func lines(t *testing.T, path string) []string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// anchors returns what a link can name in a page: its headings in lower case, with
// hyphens for blanks and without punctuation.
func anchors(page []string) (list []string) {
	for _, line := range page {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
			title = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(title), "")
			list = append(list, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return list
}

var link = regexp.MustCompile(`\]\(([^)#\s]*)#?([^)\s]*)\)`)

// TestLinks: each relative link in a Markdown file names a file, and each anchor a
// heading.
func TestLinks(t *testing.T) {
	pages := pages(t)
	for path, page := range pages {
		for _, match := range link.FindAllStringSubmatch(strings.Join(page, "\n"), -1) {
			to, anchor := match[1], match[2]
			if strings.Contains(to, ":") {
				continue // of another site
			}
			target := path
			if to != "" {
				target = filepath.Join(filepath.Dir(path), to)
				_, err := os.Stat(target)
				assert.NoError(t, err, "%s: %s", path, match[0])
			}
			if anchor != "" {
				assert.Contains(t, anchors(pages[target]), anchor, "%s: %s", path, match[0])
			}
		}
	}
}

// TestWidth: the README has at most 120 lines, and what is wrapped stays so.
func TestWidth(t *testing.T) {
	assert.LessOrEqual(t, len(lines(t, root+"/README.md")), 120)
	for _, name := range []string{"README.md", "CHANGELOG.md", "docs/changes.md", "docs/design.md", "docs/http.md", "docs/schemas.md", "docs/speed.md", "docs/stores.md"} {
		for i, line := range lines(t, filepath.Join(root, name)) {
			if !strings.HasPrefix(line, "|") {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), 100, "%s:%d", name, i+1)
			}
		}
	}
}

// TestGuarantees: each guarantee of the README has tests in docs/design.md, and
// these exist.
func TestGuarantees(t *testing.T) {
	promised := guarantees(t, root+"/README.md", "## What it guarantees")
	tested := guarantees(t, root+"/docs/design.md", "## Guarantees and their tests")
	require.NotEmpty(t, promised)
	assert.Len(t, tested, len(promised))
	for title := range promised {
		names := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(tested[title], -1)
		assert.NotEmpty(t, names, title)
		for _, name := range names {
			assert.True(t, hasFunc(t, filepath.Join(root, name[1]), name[2]), "%s: %s", title, name[0])
		}
	}
}

// guarantees returns the items of a section by their titles.
func guarantees(t *testing.T, path, section string) map[string]string {
	items := make(map[string]string)
	_, text, found := strings.Cut(strings.Join(lines(t, path), "\n"), section+"\n")
	require.True(t, found, "%s: %s", path, section)
	text, _, _ = strings.Cut(text, "\n## ")
	for _, item := range strings.Split(text, "\n- **")[1:] {
		title, rest, _ := strings.Cut(item, "**")
		items[strings.TrimSuffix(title, ".")] = rest
	}
	return items
}

// hasFunc reports whether a test file of the folder has the function.
func hasFunc(t *testing.T, folder, name string) bool {
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if bytes.Contains(text, []byte("\nfunc "+name+"(")) {
			return true
		}
	}
	return false
}
