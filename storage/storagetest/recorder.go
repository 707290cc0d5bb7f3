package storagetest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
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

// watch runs a case in a goroutine of its own and returns its failures. prepare sets up
// the env of the case.
func watch(c testCase, prepare func(*env)) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e := &env{tb: r, contract: c.contract}
		defer e.cleanUp()
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v", p)
			}
		}()
		e.labelled(func() {
			prepare(e)
			c.run(e)
		})
	}()
	<-done
	return r
}
