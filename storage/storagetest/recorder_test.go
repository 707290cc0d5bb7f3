package storagetest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"example.com/resourcekit/storage"
)

// recorder is a tb that keeps failures to itself.
type recorder struct {
	mu     sync.Mutex
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) FailNow() { runtime.Goexit() }

func (r *recorder) failed() bool { return len(r.errors) > 0 }

func (r *recorder) text() string { return strings.Join(r.errors, "\n") }

// watch runs a case in a goroutine of its own and returns what it reported.
func watch(c testCase, newStore func() storage.Store) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v", p)
			}
		}()
		c.run(&env{tb: r, contract: c.contract, open: newStore})
	}()
	<-done
	return r
}

func findCase(t *testing.T, name string) testCase {
	t.Helper()
	for _, c := range cases() {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no case %q", name)
	return testCase{}
}
