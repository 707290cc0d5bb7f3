package sqlite

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLibcVersion: modernc.org/sqlite is generated for one version of
// modernc.org/libc. A newer one, which any other dependency can bring in, has
// crashed programs.
func TestLibcVersion(t *testing.T) {
	list := func(env []string, args ...string) string {
		cmd := exec.Command("go", append([]string{"list", "-m"}, args...)...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	for _, env := range [][]string{{"GOWORK="}, {"GOWORK=off"}} { // in the workspace, and by itself
		goMod, err := os.ReadFile(list(env, "-f", "{{.GoMod}}", "modernc.org/sqlite"))
		require.NoError(t, err)
		want := list(env, "-f", "{{.Path}} {{.Version}}", "modernc.org/libc")
		require.Contains(t, strings.Split(strings.ReplaceAll(string(goMod), "\t", ""), "\n"), want)
	}
}
