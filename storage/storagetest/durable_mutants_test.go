package storagetest

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"example.com/resourcekit/storage"
)

// durableMutants are places and stores with one mistake each, like mutants.
var durableMutants = []struct {
	name   string
	caught []string
	served bool // it needs two handles, a held-up write or a network: TestServedMutants
	make   func(Durable) Durable
}{
	{"forgets a record when it is opened",
		[]string{"durable/reopen", "durable/kill"}, false, opened(func(store storage.Store) storage.Store {
			if rec, ok := firstOf(store); ok {
				_ = remove(store, rec.Key, rec.Revision)
			}
			return store
		})},
	{"cuts data when it is opened",
		[]string{"durable/reopen", "durable/kill"}, false, opened(func(store storage.Store) storage.Store {
			if rec, ok := firstOf(store); ok && len(rec.Data) > 0 {
				rec.Data = rec.Data[:len(rec.Data)-1]
				_, _ = put(store, rec, rec.Revision)
			}
			return store
		})},
	{"counts revisions from one when it is opened",
		[]string{"durable/revisions"}, false, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			reusedRevision(m)
			return m
		})},
	{"keeps what it read",
		[]string{"peer/sees-writes", "peer/race/linearizable"}, true, opened(caching)},
	{"waits for a write whatever its context says",
		[]string{"blocked/context"}, true, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				if err := ctx.Err(); err != nil {
					return 0, err
				}
				rev, err := store.Put(context.WithoutCancel(ctx), rec, expect)
				return rev, errors.Join(err, ctx.Err())
			}
			return m
		})},
	{"goes on with a write that it said had no effect",
		[]string{"blocked/context"}, true, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				var rev storage.Revision
				err := make(chan error, 1)
				go func() {
					var putErr error
					rev, putErr = store.Put(context.WithoutCancel(ctx), rec, expect)
					err <- putErr
				}()
				select {
				case err := <-err:
					return rev, err
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
			return m
		})},
	{"goes on with a batch of deletes that it said had no effect",
		[]string{"blocked/context"}, true, opened(func(store storage.Store) storage.Store {
			return lateDeleter{store}
		})},
	{"repeats a write whose outcome is unknown",
		[]string{"network/lost-answer"}, true, func(d Durable) Durable {
			open := d.OpenConn
			d.OpenConn = func(ctx context.Context, place string, wrap func(net.Conn) net.Conn) (storage.Store, error) {
				store, err := open(ctx, place, wrap)
				m := &mutant{Store: store}
				m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
					rev, err := store.Put(ctx, rec, expect)
					if errors.Is(err, storage.ErrUnknownOutcome) {
						return store.Put(ctx, rec, expect)
					}
					return rev, err
				}
				return m, err
			}
			return d
		}},
	{"takes a lost answer for a write that was not applied",
		[]string{"network/lost-answer"}, true, func(d Durable) Durable {
			open := d.OpenConn
			d.OpenConn = func(ctx context.Context, place string, wrap func(net.Conn) net.Conn) (storage.Store, error) {
				store, err := open(ctx, place, wrap)
				m := &mutant{Store: store}
				m.delete = func(ctx context.Context, key storage.Key, expect storage.Revision) error {
					err := store.Delete(ctx, key, expect)
					if errors.Is(err, storage.ErrUnknownOutcome) {
						return storage.ErrUnavailable
					}
					return err
				}
				return m, err
			}
			return d
		}},
}

// RunDurableMutants is runMutants for what RunDurable checks, for journal_test.go.
func RunDurableMutants(t *testing.T, d Durable) {
	t.Helper()
	runDurableMutants(t, d, false)
	runMutants(t, d.newStore)
}

func runDurableMutants(t *testing.T, d Durable, served bool) {
	t.Helper()
	for _, m := range durableMutants {
		if m.served != served {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			wrong := m.make(d)
			writeIfChild(t, wrong)
			prepare := wrong.prepare(t.Name())
			runMutant(t, append(cases(), wrong.cases()...), m.caught, func(e *env) { prepare(t, e) })
		})
	}
}

// newStore opens a store at a new place.
func (d Durable) newStore(t *testing.T) storage.Store {
	store, err := d.Open(context.Background(), d.New(t))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return store
}

// lateDeleter is wrong in DeleteMany alone.
type lateDeleter struct{ storage.Store }

func (l lateDeleter) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	done := make(chan []error, 1)
	go func() {
		results, err := storage.DeleteMany(context.WithoutCancel(ctx), l.Store, ops)
		if err != nil {
			results = slices.Repeat([]error{err}, len(ops))
		}
		done <- results
	}()
	select {
	case results := <-done:
		return results, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// opened replaces the stores that are opened.
func opened(change func(storage.Store) storage.Store) func(Durable) Durable {
	return func(d Durable) Durable {
		open := d.Open
		d.Open = func(ctx context.Context, place string) (storage.Store, error) {
			store, err := open(ctx, place)
			if err != nil {
				return nil, err
			}
			return change(store), nil
		}
		return d
	}
}

// firstOf returns the first record of the suite's own scope.
func firstOf(store storage.Store) (storage.Record, bool) {
	page, err := store.List(context.Background(), testScope, "", 1)
	if err != nil || len(page.Records) == 0 {
		return storage.Record{}, false
	}
	return page.Records[0], true
}

// caching answers a get with what it read or wrote itself.
func caching(store storage.Store) storage.Store {
	var mu sync.Mutex
	seen := make(map[storage.Key]storage.Record)
	m := &mutant{Store: store}
	m.get = func(ctx context.Context, key storage.Key) (storage.Record, error) {
		mu.Lock()
		rec, ok := seen[key]
		mu.Unlock()
		if ok {
			return rec, nil
		}
		rec, err := store.Get(ctx, key)
		if err == nil {
			mu.Lock()
			seen[key] = rec
			mu.Unlock()
		}
		return rec, err
	}
	m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
		rev, err := store.Put(ctx, rec, expect)
		mu.Lock()
		delete(seen, rec.Key)
		mu.Unlock()
		return rev, err
	}
	m.delete = func(ctx context.Context, key storage.Key, expect storage.Revision) error {
		err := store.Delete(ctx, key, expect)
		mu.Lock()
		delete(seen, key)
		mu.Unlock()
		return err
	}
	return m
}
