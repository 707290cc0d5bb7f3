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

// durableMutant is a place or a store with one mistake, like mutant.
type durableMutant struct {
	name   string
	caught []string
	served bool // it needs two handles, a blocked write or a network: TestServedMutants
	make   func(Durable) Durable
}

var durableMutants = []durableMutant{
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
	{"gives other revisions when it is opened",
		[]string{"durable/reopen"}, false, opened(func(store storage.Store) storage.Store {
			if rec, ok := firstOf(store); ok {
				_, _ = put(store, rec, rec.Revision)
			}
			return store
		})},
	{"remembers records that it read",
		[]string{"peer/sees-writes", "peer/race/linearizable"}, true, opened(caching)},
	{"waits for a write though its context has ended",
		[]string{"blocked/context"}, true, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			m.swap = func(ctx context.Context, w storage.Write) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return errors.Join(write(context.WithoutCancel(ctx), store, w), ctx.Err())
			}
			return m
		})},
	{"goes on with a write that it said had no effect",
		[]string{"blocked/context"}, true, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			m.write = late(store, nil, func([]storage.Write) bool { return true })
			return m
		})},
	{"says that a write has ended which goes on",
		[]string{"blocked/context"}, true, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			ended := errors.Join(storage.ErrUnknownOutcome, storage.ErrEnded)
			m.write = late(store, ended, func([]storage.Write) bool { return true })
			return m
		})},
	{"goes on with a delete in a batch that it said had no effect",
		[]string{"blocked/context"}, true, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			m.write = late(store, nil, func(writes []storage.Write) bool { return len(writes) > 1 && writes[0].Delete })
			return m
		})},
	{"repeats a write whose outcome is unknown",
		[]string{"network/lost-answer", "network/update"}, true, onNetwork(func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if errors.Is(err, storage.ErrUnknownOutcome) {
					return write(ctx, m.Store, w)
				}
				return err
			}
		})},
	{"takes a lost answer for a write that was not applied",
		[]string{"network/lost-answer", "network/update"}, true, onNetwork(func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if w.Delete && errors.Is(err, storage.ErrUnknownOutcome) {
					return storage.ErrUnavailable
				}
				return err
			}
		})},
}

// onNetwork puts a mistake into the stores that are opened on a network.
func onNetwork(make func(*mutant)) func(Durable) Durable {
	return func(d Durable) Durable {
		open := d.OpenConn
		d.OpenConn = func(ctx context.Context, place string, wrap func(net.Conn) net.Conn) (storage.Store, error) {
			store, err := open(ctx, place, wrap)
			m := &mutant{Store: store}
			make(m)
			return m, err
		}
		return d
	}
}

// RunDurableMutants is runMutants for the cases of RunDurable, for journal_test.go.
func RunDurableMutants(t *testing.T, d Durable) {
	t.Helper()
	runDurableMutants(t, d, false)
	runMutants(t, d.newStore)
}

func runDurableMutants(t *testing.T, d Durable, served bool) {
	t.Helper()
	for _, m := range slices.Concat(durableMutants, servedLogMutants) {
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

// late returns a Write that goes on with chosen writes after the end of their context,
// and adds err to the error of the context.
func late(store storage.Store, err error, chosen func([]storage.Write) bool) func(context.Context, []storage.Write) ([]error, error) {
	type result struct {
		errs []error
		err  error
	}
	return func(ctx context.Context, writes []storage.Write) ([]error, error) {
		if !chosen(writes) {
			return store.Write(ctx, writes)
		}
		done := make(chan result, 1)
		go func() {
			errs, err := store.Write(context.WithoutCancel(ctx), slices.Clone(writes))
			done <- result{errs, err}
		}()
		select {
		case r := <-done:
			return r.errs, r.err
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		}
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
	page, err := store.List(context.Background(), testScope, storage.Range{Limit: 1})
	if err != nil || len(page.Records) == 0 {
		return storage.Record{}, false
	}
	return page.Records[0], true
}

// caching answers a get with a record that it read or wrote before.
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
	m.swap = func(ctx context.Context, w storage.Write) error {
		err := write(ctx, store, w)
		mu.Lock()
		delete(seen, w.Record.Key)
		mu.Unlock()
		return err
	}
	return m
}
