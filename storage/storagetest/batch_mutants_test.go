package storagetest

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"example.com/resourcekit/storage"
)

// batchMutant is a right store whose batch methods can be replaced, one wrong
// one each.
type batchMutant struct {
	storage.Store
	getMany    func(ctx context.Context, keys []storage.Key) ([]storage.Record, error)
	putMany    func(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error)
	deleteMany func(ctx context.Context, ops []storage.DeleteOp) ([]error, error)
}

func (m *batchMutant) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	if m.getMany != nil {
		return m.getMany(ctx, keys)
	}
	return storage.GetMany(ctx, m.Store, keys)
}

func (m *batchMutant) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	if m.putMany != nil {
		return m.putMany(ctx, ops)
	}
	return storage.PutMany(ctx, m.Store, ops)
}

func (m *batchMutant) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	if m.deleteMany != nil {
		return m.deleteMany(ctx, ops)
	}
	return storage.DeleteMany(ctx, m.Store, ops)
}

// batchMutants are stores with one mistake each in their batches, and the cases
// that must catch it.
var batchMutants = []struct {
	name   string
	caught []string
	make   func(*batchMutant)
}{
	{"gets many in the order of the keys",
		[]string{"batch/get"}, func(m *batchMutant) {
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				return storage.GetMany(ctx, m.Store, slices.SortedFunc(slices.Values(keys), storage.Key.Compare))
			}
		}},
	{"gets many from the scope of the first",
		[]string{"batch/get"}, func(m *batchMutant) {
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
		[]string{"batch/get"}, func(m *batchMutant) {
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				records, err := storage.GetMany(ctx, m.Store, keys)
				for i := range records {
					if records[i].Revision == 0 {
						records[i] = storage.Record{}
					}
				}
				return records, err
			}
		}},
	{"gets many into the slice of the answer before",
		[]string{"batch/get"}, func(m *batchMutant) {
			var kept []storage.Record
			m.getMany = func(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
				records, err := storage.GetMany(ctx, m.Store, keys)
				kept = append(kept[:0], records...)
				return kept, err
			}
		}},
	{"puts many until one conflicts, and reports the others as put",
		[]string{"batch/put"}, func(m *batchMutant) {
			m.putMany = func(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
				results := make([]storage.PutResult, len(ops))
				conflicted := false
				for i, op := range ops {
					if conflicted {
						results[i].Revision = storage.FirstRevision()
						continue
					}
					results[i].Revision, results[i].Err = m.Put(ctx, op.Record, op.Expect)
					conflicted = results[i].Err != nil
				}
				return results, nil
			}
		}},
	{"answers for many puts in the order of the keys",
		[]string{"batch/put"}, func(m *batchMutant) {
			m.putMany = func(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
				return storage.PutMany(ctx, m.Store, slices.SortedFunc(slices.Values(ops), func(a, b storage.PutOp) int {
					return a.Record.Key.Compare(b.Record.Key)
				}))
			}
		}},
	{"puts many whatever their revisions",
		[]string{"batch/put", "batch/overlapping"}, func(m *batchMutant) {
			m.putMany = func(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
				results := make([]storage.PutResult, len(ops))
				for i, op := range ops {
					results[i].Revision, results[i].Err = m.overwrite(ctx, op.Record)
				}
				return results, nil
			}
		}},
	{"checks the revisions of many and then stores them, not in one step",
		[]string{"batch/overlapping"}, func(m *batchMutant) {
			m.putMany = func(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
				results := make([]storage.PutResult, len(ops))
				for i, op := range ops {
					if rec, err := m.Get(ctx, op.Record.Key); rec.Revision != op.Expect {
						results[i].Err = errors.Join(storage.ErrConflict, err)
					}
				}
				runtime.Gosched()
				for i, op := range ops {
					if results[i].Err == nil {
						results[i].Revision, results[i].Err = m.overwrite(ctx, op.Record)
					}
				}
				return results, nil
			}
		}},
	{"makes other identities when it puts many",
		[]string{"data/metadata"}, func(m *batchMutant) {
			m.putMany = func(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
				results := make([]storage.PutResult, len(ops))
				for i, op := range ops {
					if op.Expect != 0 {
						if results[i].Err = m.Delete(ctx, op.Record.Key, op.Expect); results[i].Err != nil {
							continue
						}
					}
					results[i].Revision, results[i].Err = m.Put(ctx, op.Record, 0)
				}
				return results, nil
			}
		}},
	{"takes in a batch what is too large",
		[]string{"limit/data"}, func(m *batchMutant) {
			right := m.Store
			m.Store = smallStore{right}
			m.putMany = func(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
				return storage.PutMany(ctx, right, ops)
			}
		}},
	{"deletes many though the context is done",
		[]string{"context/cancelled"}, func(m *batchMutant) {
			m.deleteMany = func(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
				return storage.DeleteMany(context.WithoutCancel(ctx), m.Store, ops)
			}
		}},
	{"deletes many whatever their revisions",
		[]string{"batch/delete"}, func(m *batchMutant) {
			m.deleteMany = func(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
				results := make([]error, len(ops))
				for i, op := range ops {
					var rec storage.Record
					if rec, results[i] = m.Get(ctx, op.Key); results[i] == nil {
						results[i] = m.Delete(ctx, op.Key, rec.Revision)
					}
				}
				return results, nil
			}
		}},
	{"deletes many and does not tell which were absent",
		[]string{"batch/delete"}, func(m *batchMutant) {
			m.deleteMany = func(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
				results, err := storage.DeleteMany(ctx, m.Store, ops)
				for i := range results {
					if errors.Is(results[i], storage.ErrNotFound) {
						results[i] = nil
					}
				}
				return results, err
			}
		}},
}

// Limits implements storage.Limiter.
func (m *batchMutant) Limits() (limits storage.Limits) {
	if l, ok := m.Store.(storage.Limiter); ok {
		limits = l.Limits()
	}
	return limits
}

// smallStore is a right store that takes no more data than every store must.
type smallStore struct{ storage.Store }

func (s smallStore) Limits() storage.Limits { return storage.Limits{MaxData: 1 << 20} }

func (s smallStore) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if len(rec.Data) > s.Limits().MaxData {
		return 0, storage.ErrTooLarge
	}
	return s.Store.Put(ctx, rec, expect)
}

// overwrite puts the record whatever is there.
func (m *batchMutant) overwrite(ctx context.Context, rec storage.Record) (storage.Revision, error) {
	for {
		old, err := m.Get(ctx, rec.Key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return 0, err
		}
		rev, err := m.Put(ctx, rec, old.Revision)
		if !errors.Is(err, storage.ErrConflict) {
			return rev, err
		}
	}
}
