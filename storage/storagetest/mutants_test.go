package storagetest

import (
	"testing"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func TestMutants(t *testing.T) {
	RunMutants(t, func(*testing.T) storage.Store { return memory.New() })
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
