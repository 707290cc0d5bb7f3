package storagetest

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"example.com/resourcekit/storage"
)

// batchMutants are stores with one mistake each in the methods for many keys, and the
// cases that must catch it.
var batchMutants = []struct {
	name   string
	caught []string
	make   func(*mutant)
}{
	{"gets many in the order of the keys",
		[]string{"batch/get"}, func(m *mutant) {
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				return m.Store.GetMany(ctx, slices.SortedFunc(slices.Values(keys), storage.Key.Compare))
			}
		}},
	{"gets many from the scope of the first",
		[]string{"batch/get"}, func(m *mutant) {
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				records := make([]storage.Record, len(keys))
				for i, key := range keys {
					rec, err := m.Get(ctx, keyIn(keys[0].Scope(), key.ExternalID))
					if err != nil && !errors.Is(err, storage.ErrNotFound) {
						return nil, err
					}
					records[i], records[i].Key = rec, key
				}
				return records, nil
			}
		}},
	{"gets many without the keys of the absent ones",
		[]string{"batch/get"}, func(m *mutant) {
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				records, err := m.Store.GetMany(ctx, keys)
				for i := range records {
					if records[i].Revision == 0 {
						records[i] = storage.Record{}
					}
				}
				return records, err
			}
		}},
	{"gets many into the slice of the answer before",
		[]string{"batch/get"}, func(m *mutant) {
			var kept []storage.Record
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				records, err := m.Store.GetMany(ctx, keys)
				kept = append(kept[:0], records...)
				return kept, err
			}
		}},
	{"gets many that are older than the last write",
		[]string{"race/linearizable"}, func(m *mutant) {
			n := 0
			get := m.before(func() bool { n++; return n%5 == 0 })
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				return (&mutant{get: get}).GetMany(ctx, keys)
			}
		}},
	{"gets any number of keys",
		[]string{"batch/refused"}, func(m *mutant) {
			m.getMany = func(ctx context.Context, keys []storage.Key) (all []storage.Record, err error) {
				for some := range slices.Chunk(keys, storage.MaxBatch) {
					records, err := m.Store.GetMany(ctx, some)
					if err != nil {
						return nil, err
					}
					all = append(all, records...)
				}
				return all, nil
			}
		}},
	{"takes half as many keys",
		[]string{"batch/largest"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				if len(writes) > storage.MaxBatch/2 {
					return nil, storage.ErrInvalid
				}
				return m.Store.Write(ctx, writes)
			}
		}},
	{"makes any number of writes",
		[]string{"batch/refused"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error { return write(ctx, m.Store, w) }
		}},
	{"stops at the first conflict, and reports the other writes as applied",
		[]string{"batch/write"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				conflicted := false
				return eachWrite(writes, func(w storage.Write) error {
					if conflicted {
						return nil
					}
					err := write(ctx, m.Store, w)
					conflicted = err != nil
					return err
				})
			}
		}},
	{"makes all writes or none",
		[]string{"batch/write"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				for _, w := range writes {
					if rec, _ := m.Store.Get(ctx, w.Record.Key); rec.Revision != w.Expect {
						return slices.Repeat([]error{storage.ErrConflict}, len(writes)), nil
					}
				}
				return m.Store.Write(ctx, writes)
			}
		}},
	{"returns errors in the order of the keys",
		[]string{"batch/write"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				return m.Store.Write(ctx, slices.SortedFunc(slices.Values(writes), func(a, b storage.Write) int {
					return a.Record.Key.Compare(b.Record.Key)
				}))
			}
		}},
	{"sorts the slice of the caller",
		[]string{"batch/slice"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				slices.SortFunc(writes, func(a, b storage.Write) int { return b.Record.Key.Compare(a.Record.Key) })
				return m.Store.Write(ctx, writes)
			}
		}},
	{"returns errors that are all nil",
		[]string{"batch/write", "swap/put"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				errs, err := m.Store.Write(ctx, writes)
				if errs == nil && err == nil {
					errs = make([]error, len(writes))
				}
				return errs, err
			}
		}},
	{"ignores the revisions of many writes",
		[]string{"batch/write", "batch/overlapping"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				return eachWrite(writes, func(w storage.Write) error { return m.overwrite(ctx, w) })
			}
		}},
	{"checks the revisions of many and then stores them, not in one step",
		[]string{"batch/overlapping"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				errs := make([]error, len(writes))
				for i, w := range writes {
					if rec, err := m.Get(ctx, w.Record.Key); rec.Revision != w.Expect {
						errs[i] = errors.Join(storage.ErrConflict, err)
					}
				}
				runtime.Gosched()
				for i, w := range writes {
					if errs[i] == nil {
						errs[i] = m.overwrite(ctx, w)
					}
				}
				if errors.Join(errs...) == nil {
					return nil, nil
				}
				return errs, nil
			}
		}},
	{"makes other identities when it writes many",
		[]string{"data/metadata"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				return eachWrite(writes, func(w storage.Write) error {
					if len(writes) > 1 && w.Expect != 0 && !w.Delete {
						if err := write(ctx, m.Store, deleteOf(w.Record.Key, w.Expect)); err != nil {
							return err
						}
						w.Expect = 0
					}
					return write(ctx, m.Store, w)
				})
			}
		}},
	{"refuses a batch because one write is too large",
		[]string{"limit/data"}, func(m *mutant) {
			m.limits = smallLimits
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				for _, w := range writes {
					if len(w.Record.Data) > smallLimits().MaxData {
						return nil, storage.ErrTooLarge
					}
				}
				return m.Store.Write(ctx, writes)
			}
		}},
	{"takes data that is too large in a batch",
		[]string{"limit/data"}, func(m *mutant) {
			m.limits = smallLimits
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				if len(writes) == 1 && len(writes[0].Record.Data) > smallLimits().MaxData {
					return []error{storage.ErrTooLarge}, nil
				}
				return m.Store.Write(ctx, writes)
			}
		}},
	{"takes the limit for one of documents",
		[]string{"limit/data"}, func(m *mutant) {
			m.limits = smallLimits
			m.swap = func(ctx context.Context, w storage.Write) error {
				if max(len(w.Record.Data), w.Note.Size()) > smallLimits().MaxData {
					return storage.ErrTooLarge
				}
				return write(ctx, m.Store, w)
			}
		}},
	{"writes many though the context is done",
		[]string{"context/cancelled"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				if len(writes) > 1 {
					ctx = context.WithoutCancel(ctx)
				}
				return m.Store.Write(ctx, writes)
			}
		}},
}

// smallLimits has no more data than every store must take.
func smallLimits() storage.Limits { return storage.Limits{MaxData: 1 << 20} }
