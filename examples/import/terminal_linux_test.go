package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal returns the two ends of a pseudo-terminal: what a person sees, and what
// a program writes to.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { person.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return person, program
}

// TestTerminal: a person sees a bar.
func TestTerminal(t *testing.T) {
	person, program := terminal(t)
	seen := make(chan string)
	go func() {
		text, _ := io.ReadAll(person) // ends with an error, when the program's end is closed
		seen <- string(text)
	}()
	path := write(t, "x.ndjson", "bad\n"+customers(20))
	var out bytes.Buffer
	code := run(context.Background(), []string{"-store", "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "-tenant", "acme", path}, nil, &out, program)
	require.NoError(t, program.Close())
	assert.Equal(t, exitFailed, code)
	select {
	case text := <-seen:
		assert.Contains(t, text, "\r\x1b[Kline 1: not strict JSON")
		assert.Regexp(t, `\r21 documents \[-+>?\] 100\.00%.*\r\n$`, text)
	case <-time.After(time.Minute):
		assert.Fail(t, "the terminal does not end")
	}
	assert.Regexp(t, `^20 created, 0 updated, 0 unchanged, 1 failed, in \S+\n$`, out.String())
}
