package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var large = flag.Bool("large", false, "let BenchmarkImportMillion import a million documents, and not 20,000")

// BenchmarkImportMillion is the first import of a large file into SQLite, and the
// same file again, each by a process of its own. It reports how many documents a
// second each of them does, and the most memory that it takes: its own, and with
// what it maps of the store's file.
//
// It fails if the second one finds anything to change, or changes a byte of the
// store.
func BenchmarkImportMillion(b *testing.B) {
	n := 20_000
	if *large {
		n = 1_000_000
	}
	path := filepath.Join(b.TempDir(), "x.ndjson")
	binary := build(b)
	file, err := os.Create(path)
	require.NoError(b, err)
	buffered := bufio.NewWriter(file)
	for i := range n {
		fmt.Fprintln(buffered, customer(i))
	}
	require.NoError(b, buffered.Flush())
	require.NoError(b, file.Close())

	var db string
	for b.Loop() {
		db = filepath.Join(b.TempDir(), "x.db")
		one := func(name, want string) {
			cmd := exec.Command(binary, "-store", "sqlite:"+db, "-tenant", "acme", path)
			var out bytes.Buffer
			cmd.Stdout = &out
			start := time.Now()
			require.NoError(b, cmd.Start())
			memory := watch(cmd.Process.Pid)
			require.NoError(b, cmd.Wait())
			took := time.Since(start)
			require.Equal(b, want, outcome{out: out.String()}.summary())
			b.ReportMetric(float64(n)/took.Seconds(), name+"-documents/s")
			if own, resident := memory(); resident > 0 {
				b.ReportMetric(own, name+"-own-MiB")
				b.ReportMetric(resident, name+"-resident-MiB")
			}
		}
		one("first", fmt.Sprintf("%d created, 0 updated, 0 unchanged, 0 failed", n))
		before := content(b, db)
		one("again", fmt.Sprintf("0 created, 0 updated, %d unchanged, 0 failed", n))
		assert.Equal(b, before, content(b, db), "nothing is written")
	}
	b.Logf("the files: %s", strings.Join(sizes(b, path, db), ", "))
}

// watch looks at a process again and again, and returns a function that returns the
// most memory that it was seen with, in MiB; 0 where there is no /proc. What is
// resident has the pages of the store's file too, once for each of the connections
// that map it, and these are the system's to take back.
func watch(pid int) func() (own, resident float64) {
	done, stopped := make(chan struct{}), make(chan struct{})
	var own, resident float64
	look := func() {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(status)) {
			var kib float64
			name, rest, _ := strings.Cut(line, ":")
			_, _ = fmt.Sscan(rest, &kib)
			switch name {
			case "RssAnon":
				own = max(own, kib/1024)
			case "VmHWM":
				resident = kib / 1024
			}
		}
	}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				look()
			}
		}
	}()
	return func() (float64, float64) {
		close(done)
		<-stopped
		return own, resident
	}
}

func sizes(tb testing.TB, paths ...string) (all []string) {
	for _, path := range paths {
		info, err := os.Stat(path)
		require.NoError(tb, err)
		all = append(all, fmt.Sprintf("%s %d MiB", filepath.Base(path), info.Size()>>20))
	}
	return all
}
