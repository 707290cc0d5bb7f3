package storagetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// BenchEntries measures the price of entries and of the log, for each of the sizes (1000 if
// there are none): the number of records in each of two scopes. The records of one have
// two entries, and their creation is in the log. Those of the other have neither. All have
// 400 bytes of data and are picked at random.
//
// Each row compares two operations, which take turns; "ratio" is that of the medians.
//
//   - unmoved: a write whose entries stay, and one without entries.
//   - moved: a write of which one entry moves, and one without entries.
//   - noted: a write without entries that is logged, and one that is not.
//   - lookup: the record with a unique value, by Lookup, and one by Get.
//   - page100: a page of 100 records in the order of an index, and one in that of
//     external ids.
//   - changes100: a page of 100 changes, and one of 100 records.
func BenchEntries(b *testing.B, newStore func(b *testing.B) storage.Store, sizes ...int) {
	if len(sizes) == 0 {
		sizes = []int{1000}
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			store := newStore(b)
			defer store.Close()
			newEntriesBench(b, store, size).run(b)
		})
	}
}

type entriesBench struct {
	ctx            context.Context
	store          storage.Store
	plain, indexed []owned
	cursors        []storage.Cursor // places in the log
	moves          uint64
}

// owned is a record, and what it is found by.
type owned struct {
	key     storage.Key
	rev     storage.Revision
	entries []storage.Entry
}

func newEntriesBench(b *testing.B, store storage.Store, size int) *entriesBench {
	bn := &entriesBench{ctx: context.Background(), store: store, plain: make([]owned, size), indexed: make([]owned, size)}
	for kind, records := range [][]owned{bn.plain, bn.indexed} {
		scope := storage.Scope{
			Tenant: storage.TenantOf("bench", fmt.Sprint(kind)),
			Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
		}
		var writes []storage.Write
		for i, n := range shuffled(size) {
			o := &records[i]
			o.key = keyIn(scope, fmt.Sprintf("customer-%09d", n))
			var note *storage.Note
			if kind == 1 {
				o.entries = []storage.Entry{
					{Index: 1, Value: fmt.Appendf(nil, "customer-%09d@example.com", n), Unique: true},
					{Index: 2, Value: bn.place()},
				}
				note = &storage.Note{Time: testTime, Actor: "bench"}
			}
			writes = append(writes, o.next(o.entries, note))
			if len(writes) == storage.MaxBatch || i == size-1 {
				if errs, err := store.Write(bn.ctx, writes); err != nil || errs != nil {
					b.Fatal(err, errs)
				}
				writes = writes[:0]
			}
		}
		for r := (storage.Range{Limit: storage.MaxPage}); ; { // read everything once
			page, err := store.List(bn.ctx, scope, r)
			if err != nil {
				b.Fatal(err)
			}
			if r.After = page.Next; r.After.IsZero() {
				break
			}
		}
	}
	r := &logReader{store: store, q: storage.ChangeQuery{Limit: storage.MaxPage}}
	if err := r.until(func() bool { return len(r.changes) >= size }); err != nil {
		b.Fatal(err)
	}
	for _, c := range r.changes[:max(1, size-100)] {
		bn.cursors = append(bn.cursors, c.Cursor)
	}
	return bn
}

// next returns a write over the record, and takes it for applied.
func (o *owned) next(entries []storage.Entry, note *storage.Note) storage.Write {
	rec := storage.Record{Key: o.key, ID: uuid.Max, CreatedAt: testTime, UpdatedAt: testTime, Data: make([]byte, 400)}
	w := putOf(rec, o.rev)
	w.Entries, w.Note = entries, note
	o.rev, o.entries = w.Record.Revision, entries
	return w
}

// place returns another value for each call, anywhere in the order of index 2.
func (bn *entriesBench) place() []byte {
	bn.moves++
	return binary.BigEndian.AppendUint64(nil, bn.moves*0x9E3779B97F4A7C15)
}

// pick returns another record for each i, in no order.
func pick(records []owned, i int) *owned {
	return &records[uint64(i)*0x9E3779B97F4A7C15>>20%uint64(len(records))]
}

func (bn *entriesBench) run(b *testing.B) {
	plain := func(i int) error { return write(bn.ctx, bn.store, pick(bn.plain, i).next(nil, nil)) }
	b.Run("unmoved", compare(plain, func(i int) error {
		o := pick(bn.indexed, i)
		return write(bn.ctx, bn.store, o.next(o.entries, nil))
	}))
	b.Run("moved", compare(plain, func(i int) error {
		o := pick(bn.indexed, i)
		moved := []storage.Entry{o.entries[0], {Index: 2, Value: bn.place()}}
		return write(bn.ctx, bn.store, o.next(moved, nil))
	}))
	note := &storage.Note{Time: testTime, Actor: "bench"}
	b.Run("noted", compare(plain, func(i int) error {
		return write(bn.ctx, bn.store, pick(bn.plain, i+1<<30).next(nil, note))
	}))
	b.Run("lookup", compare(func(i int) error {
		_, err := bn.store.Get(bn.ctx, pick(bn.indexed, i).key)
		return err
	}, func(i int) error {
		o := pick(bn.indexed, i+1<<30)
		value := o.entries[0].Value
		r := storage.Range{From: value, To: append(value[:len(value):len(value)], 0), Limit: 2}
		page, err := bn.store.Lookup(bn.ctx, o.key.Scope(), 1, r)
		if err == nil && len(page.Records) != 1 {
			err = fmt.Errorf("%d records have a unique value", len(page.Records))
		}
		return err
	}))
	list := func(i int) error {
		key := pick(bn.indexed, i).key
		_, err := bn.store.List(bn.ctx, key.Scope(), after(key.ExternalID, 100))
		return err
	}
	b.Run("page100", compare(list, func(i int) error {
		o := pick(bn.indexed, i+1<<30)
		at := storage.Position{Value: o.entries[1].Value, ExternalID: o.key.ExternalID}
		_, err := bn.store.Lookup(bn.ctx, o.key.Scope(), 2, storage.Range{After: at, Limit: 100})
		return err
	}))
	b.Run("changes100", compare(list, func(i int) error {
		at := bn.cursors[uint64(i)*0x9E3779B97F4A7C15>>20%uint64(len(bn.cursors))]
		_, err := bn.store.Changes(bn.ctx, storage.ChangeQuery{After: at, Limit: 100})
		return err
	}))
}

func compare(base, op func(i int) error) func(b *testing.B) {
	return func(b *testing.B) {
		medians := takeTurns(b, base, op)
		b.ReportMetric(0, "ns/op") // of both together
		b.ReportMetric(medians[0], "base-us")
		b.ReportMetric(medians[1], "us")
		b.ReportMetric(medians[1]/medians[0], "ratio")
	}
}
