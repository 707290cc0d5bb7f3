package deps_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCoreBringsNoDriver makes a module outside of the repository, as a user
// does, that imports the whole core, and asks the go command what that brings
// along.
func TestCoreBringsNoDriver(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	var imports strings.Builder
	for pkg := range rules {
		if public(pkg) && pkg != "storage/storagetest" {
			fmt.Fprintf(&imports, "import _ %q\n", module+"/"+pkg)
		}
	}
	write("main.go", "package main\n\n"+imports.String()+"\nfunc main() {}\n")
	write("go.mod", fmt.Sprintf("module scratch\n\ngo 1.26\n\nrequire %s v0.0.0\n\nreplace %s => %q\n", module, module, root))
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	write("go.sum", string(sum))

	list := exec.Command("go", "list", "-mod=mod", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	list.Dir = dir
	list.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr strings.Builder // also what is downloaded
	list.Stderr = &stderr
	out, err := list.Output()
	require.NoError(t, err, stderr.String())
	may := []string{
		"scratch", module + "/...", gjson, sjson, btree, uuid, crypto,
		"github.com/tidwall/match", "github.com/tidwall/pretty", // of gjson and sjson
		"golang.org/x/crypto/...", "golang.org/x/sys/cpu", // of chacha20poly1305
	}
	packages := strings.Fields(string(out))
	assert.Contains(t, packages, module+"/resource/httpapi")
	for _, pkg := range packages {
		assert.True(t, listed(may, pkg), "importing the core brings %s", pkg)
	}
}
