package scenarios_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/storage"
)

// TestTakeover: the owner of a consumer is stopped by SIGSTOP for longer than its lease, and
// goes on later. Another process takes over. The first one finishes at most one call, whose
// fence tells that it is late, and no change is lost.
func TestTakeover(t *testing.T) {
	for _, p := range places[1:] {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			where := p.make(t)
			store, closeStore, err := p.open(ctx, where)
			require.NoError(t, err)
			t.Cleanup(func() {
				assert.NoError(t, store.Close())
				closeStore()
			})
			takeOver(t, p.name+" "+where, store)
		})
	}
}

func takeOver(t *testing.T, where string, store storage.Store) {
	const (
		name   = "taken"
		lease  = time.Second
		work   = 20 * time.Millisecond
		rounds = 3
	)
	file := filepath.Join(t.TempDir(), "events")
	running := map[int]*child{}
	for range 2 {
		c := startChild(t, "consume", where, file, name, lease.String(), work.String())
		running[c.pid()] = c
	}
	c := newCollection(t, people, store, &resource.Options{Log: true, History: true})
	var stop atomic.Bool
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for n := 0; !stop.Load(); n++ {
			document := fmt.Appendf(nil, `{"id":"p%d","note":"%d"}`, n%20, n)
			_, err := c.Create(ctx, populace[0], document, nil)
			if !errors.Is(err, storage.ErrUnavailable) && !assert.NoError(t, err) {
				return
			}
			time.Sleep(work + work/2) // so that the consumer keeps up
		}
	}()
	defer func() {
		stop.Store(true)
		<-wrote
	}()
	// next waits for an event with a fence of at least min, and returns it.
	next := func(min uint64) (fence uint64) {
		require.Eventually(t, func() bool {
			fences := fencesIn(t, file)
			if len(fences) == 0 || fences[len(fences)-1] < min {
				return false
			}
			fence = fences[len(fences)-1]
			return true
		}, time.Minute, 5*time.Millisecond, "no event of fence %d or later", min)
		return fence
	}
	for taken := 0; taken < rounds; {
		fence := next(1)
		all, err := changes.Consumers(ctx, store)
		require.NoError(t, err)
		require.Len(t, all, 1)
		owner := running[processOf(all[0])]
		if owner == nil || all[0].Fence != fence { // on a slow machine a lease is lost without this
			continue
		}
		time.Sleep(rand.N(work))
		require.NoError(t, owner.cmd.Process.Signal(syscall.SIGSTOP))
		stopped := time.Now()
		if canWrite(store) { // a process that is stopped in a transaction of SQLite holds up all
			t.Logf("fence %d takes over from %d after %v", next(fence+1), fence, time.Since(stopped).Round(time.Millisecond))
			time.Sleep(lease / 2)
			taken++
		}
		require.NoError(t, owner.cmd.Process.Signal(syscall.SIGCONT))
		time.Sleep(lease / 2) // it finishes its call, and notices
	}
	stop.Store(true)
	<-wrote
	waitForConsumers(t, store, 1)
	for _, c := range running {
		c.stop()
	}
	late, greatest := map[uint64]int{}, uint64(0)
	for _, fence := range fencesIn(t, file) {
		if greatest = max(greatest, fence); fence < greatest {
			late[fence]++
		}
	}
	for fence, calls := range late {
		assert.LessOrEqual(t, calls, 1, "calls of the owner with fence %d after the next owner's first", fence)
	}
	r := readReplica(t, file)
	r.compare(t, store)
	assert.Equal(t, checkChain(t, store).changes, r.changes, "changes in the log")
	t.Logf("%d events, %d changes; late: %v", r.events, r.changes, late)
}

// canWrite reports whether a store takes writes just now.
func canWrite(store storage.Store) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	key := storage.Key{Tenant: storage.TenantOf("scenarios", "probe"), Schema: people.ID(), ExternalID: "probe"}
	_, err := storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
		return storage.Record{ID: people.ID(), Data: []byte(`{"id":"probe"}`)}, nil
	})
	return err == nil
}

// fencesIn returns the fence of each event in a file, in the order in which they were written.
func fencesIn(t *testing.T, name string) (fences []uint64) {
	t.Helper()
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		number, _, _ := strings.Cut(lines.Text(), " ")
		fence, err := strconv.ParseUint(number, 10, 64)
		require.NoError(t, err)
		fences = append(fences, fence)
	}
	return fences
}

// processOf returns the number of the process that owns a consumer, 0 if none does.
func processOf(c changes.Consumer) int {
	for word := range strings.SplitSeq(c.Owner, "/") { // host, process, call
		if pid, err := strconv.Atoi(word); err == nil {
			return pid
		}
	}
	return 0
}

// TestImportIsConsumed: a consumer that takes a millisecond for each event gets all of an
// import that is much quicker.
func TestImportIsConsumed(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			importConsumed(t, store.open(t))
		})
	}
}

func importConsumed(t *testing.T, store storage.Store) {
	c := newCollection(t, people, store, &resource.Options{Log: true})
	consuming, end := context.WithCancel(ctx)
	defer end()
	seen := make(map[string]int)
	all := make(chan error, 1)
	begin := time.Now()
	go func() {
		all <- changes.Consume(consuming, store, "slow", func(_ context.Context, e changes.Event) error {
			time.Sleep(time.Millisecond)
			if seen[e.Key.ExternalID]++; len(seen) == *importedSize {
				end()
			}
			return nil
		}, &changes.Options{Collections: []*resource.Collection{c}})
	}()
	r, err := ingest.Import(ctx, c, everybody, func(yield func(ingest.Document, error) bool) {
		for n := range *importedSize {
			if !yield(ingest.Document{Data: fmt.Appendf(nil, `{"id":"p%06d","email":"p%d@x.org"}`, n, n)}, nil) {
				return
			}
		}
	}, nil)
	require.NoError(t, err)
	require.Zero(t, r.Failed)
	imported := time.Since(begin)
	select {
	case err := <-all:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(time.Minute + time.Duration(*importedSize)*10*time.Millisecond):
		require.Fail(t, "the consumer does not come to the end", "%d events", len(seen))
	}
	times := 0
	for _, n := range seen {
		times += n
	}
	require.Len(t, seen, *importedSize)
	t.Logf("%d resources imported in %v; %d events after %v", *importedSize, imported.Round(time.Millisecond), times, time.Since(begin).Round(time.Millisecond))
}
