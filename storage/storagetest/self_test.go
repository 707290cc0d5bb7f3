package storagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func TestMutants(t *testing.T) {
	runMutants(t, func(*testing.T) storage.Store { return memory.New() })
}

// TestRecorder is the other half: a right store passes under the recorder too.
func TestRecorder(t *testing.T) {
	for _, c := range cases() {
		r := watch(c, func(e *env) {
			e.open = func() storage.Store { return &mutant{Store: memory.New()} }
		})
		if r.failed() {
			t.Errorf("%s: %s", c.name, r.text())
		}
	}
}

// impatient shortens the wait for a store that hangs, in tests of some that do.
func impatient(t *testing.T) {
	patience := promptly
	promptly = 100 * time.Millisecond
	t.Cleanup(func() { promptly = patience })
}

// TestHanging: a store that waits for ever, in spite of its context, fails and does not
// hang the suite.
func TestHanging(t *testing.T) {
	impatient(t)
	for _, c := range blockedCases {
		var writes sync.RWMutex
		d := Durable{
			New: func(*testing.T) string { return "" },
			Open: func(context.Context, string) (storage.Store, error) {
				m := &mutant{Store: memory.New()}
				m.swap = func(ctx context.Context, w storage.Write) error {
					writes.RLock()
					defer writes.RUnlock()
					return write(context.WithoutCancel(ctx), m.Store, w)
				}
				return m, nil
			},
			Block: func(*testing.T, string) (release func()) {
				writes.Lock()
				return writes.Unlock
			},
		}
		r := watch(c, func(e *env) { d.prepare("")(t, e) })
		require.Contains(t, r.text(), c.contract)
		require.Contains(t, r.text(), "still under way")
	}
}

// findCase returns the case of this name.
func findCase(t *testing.T, all []testCase, name string) testCase {
	t.Helper()
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no case %q", name)
	return testCase{}
}

// TestGoroutines: a case counts its own goroutines, and not those of other tests.
func TestGoroutines(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var begun sync.WaitGroup
	leave := func(n int) {
		for range n {
			begun.Add(1)
			go func() {
				begun.Done()
				<-release
			}()
		}
		begun.Wait()
	}
	one, other := &env{tb: t}, &env{tb: t}
	other.labelled(func() { leave(5) })
	leave(5)
	one.labelled(func() {
		require.Equal(t, 1, one.goroutines())
		leave(3)
		require.Equal(t, 4, one.goroutines())
	})
}
