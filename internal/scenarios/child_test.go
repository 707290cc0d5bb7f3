package scenarios_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// Processes that tests start of themselves, to stop and kill them.

// roles are what such a process can do, until its context ends by SIGTERM.
var roles = map[string]func(ctx context.Context, args []string) error{
	"reindex": reindexRole,
	"write":   writeRole,
	"consume": consumeRole,
	"erase":   eraseRole,
	"serve":   serveRole,
}

// roleVariable is the variable of the environment that makes a process play a role.
const roleVariable = "RESOURCEKIT_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // the parent has ended
		os.Exit(1)
	}()
	if err := roles[role](ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, role, err)
		os.Exit(1)
	}
}

// A child is a process that plays a role. It ends with the test, or with this process.
type child struct {
	t      *testing.T
	role   string
	cmd    *exec.Cmd
	out    io.Reader
	errors bytes.Buffer // read it after the end
	ended  chan struct{}
	err    error // of the end
	done   atomic.Bool
}

func startChild(t *testing.T, role string, args ...string) *child {
	t.Helper()
	c := &child{t: t, role: role, cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	c.cmd.Stderr = &c.errors
	_, err := c.cmd.StdinPipe()
	require.NoError(t, err)
	out, in, err := os.Pipe()
	require.NoError(t, err)
	c.cmd.Stdout, c.out = in, out
	require.NoError(t, c.cmd.Start())
	require.NoError(t, in.Close())
	t.Cleanup(func() {
		c.kill()
		out.Close()
	})
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// kill ends the process by SIGKILL, and waits for that.
func (c *child) kill() {
	c.done.Store(true)
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// stop ends the process by SIGTERM, and expects that it ends well.
func (c *child) stop() {
	c.t.Helper()
	c.done.Store(true)
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	c.wait()
}

// wait expects that the process ends well by itself.
func (c *child) wait() {
	c.t.Helper()
	select {
	case <-c.ended:
		require.NoError(c.t, c.err, "%s: %s", c.role, c.errors.String())
	case <-time.After(time.Minute):
		require.Fail(c.t, "a process does not end", c.role)
	}
}

// check ends the test if the process has ended with an error, although it was not told to.
func (c *child) check() {
	c.t.Helper()
	select {
	case <-c.ended:
		if c.err != nil && !c.done.Load() {
			require.NoError(c.t, c.err, "%s: %s", c.role, c.errors.String())
		}
	default:
	}
}

// openIn opens the store of a place in a child: "sqlite FILE" or "postgres SCHEMA DSN".
// It waits for a server that is down.
func openIn(ctx context.Context, where string) (storage.Store, error) {
	name, where, _ := strings.Cut(where, " ")
	for _, p := range places {
		if p.name != name {
			continue
		}
		for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			store, _, err := p.open(ctx, where)
			if err == nil || time.Since(begin) > 30*time.Second || ctx.Err() != nil {
				return store, err
			}
		}
	}
	return nil, errors.New("no place " + name)
}
