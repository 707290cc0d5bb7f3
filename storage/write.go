package storage

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	MaxBatch   = 1000 // keys in one call of Write and GetMany
	MaxEntries = 16   // entries of one record
	MaxValue   = 256  // bytes in the value of an entry
)

// Write is one compare-and-swap of a key.
type Write struct {
	// Record is stored. Its Revision must be greater than Expect and at most the largest
	// int64. Of a delete only Key and Revision count: the latter names the change in the
	// log.
	Record Record

	// Expect is the revision that the key must have; 0 demands that it is absent. A
	// delete never expects 0.
	Expect Revision

	Delete bool

	// Entries are what the record is found by. They replace those that it had, and are
	// removed with it. They are sorted by index and value, distinct, and at most
	// MaxEntries.
	Entries []Entry

	// Note is logged with the change. If it is nil, the change is not logged.
	Note *Note
}

// Entry is a place at which [Store.Lookup] finds a record.
type Entry struct {
	Index uint32 // the number of the index, chosen by the layer above; not 0
	Value []byte // 1 to MaxValue bytes, ordered as bytes; read-only

	// Unique demands that no other record of the scope has a unique entry with this
	// index and value. A write that finds it taken fails with ErrNotUnique alone.
	//
	// The writes of one call are decided in their order: a value that an earlier one
	// frees is free, one that only a later one frees is taken. So two records cannot
	// exchange their values in one call.
	Unique bool
}

// Compare returns -1, 0 or 1 by index and value.
func (e Entry) Compare(other Entry) int {
	if e.Index != other.Index {
		if e.Index < other.Index {
			return -1
		}
		return 1
	}
	return bytes.Compare(e.Value, other.Value)
}

// Note is what the log keeps of a change beside its key, ID and revisions.
type Note struct {
	Time time.Time // when the change was made; kept as the times of a Record

	// Actor says who made the change, and Reason why: valid UTF-8 without NUL.
	Actor, Reason string

	// Before and After are the data, if the layer above keeps history. They are
	// read-only.
	Before, After []byte
}

// Size returns how many bytes the texts and documents have, 0 for nil.
func (n *Note) Size() int {
	if n == nil {
		return 0
	}
	return len(n.Actor) + len(n.Reason) + len(n.Before) + len(n.After)
}

func (n *Note) check() error {
	if !isText(n.Actor) || !isText(n.Reason) {
		return invalid("the actor or the reason of a note is not valid UTF-8, or holds a NUL")
	}
	return nil
}

// Put writes one record without entries and note, if the revision of its key is expect,
// and returns its new revision. Errors are those of [Store.Write]. Revision is ignored.
func Put(ctx context.Context, store Store, rec Record, expect Revision) (Revision, error) {
	rec.Revision = NextRevision(expect)
	if err := write(ctx, store, Write{Record: rec, Expect: expect}); err != nil {
		return 0, err
	}
	return rec.Revision, nil
}

// Delete deletes one record, if its revision is expect. Errors are those of [Store.Write].
func Delete(ctx context.Context, store Store, key Key, expect Revision) error {
	return write(ctx, store, Write{Record: Record{Key: key, Revision: NextRevision(expect)}, Expect: expect, Delete: true})
}

// oneWrite has slices for single writes, which escape.
var oneWrite = sync.Pool{New: func() any { return new([1]Write) }}

// write makes one write and returns its error.
func write(ctx context.Context, store Store, w Write) error {
	one := oneWrite.Get().(*[1]Write)
	one[0] = w
	errs, err := store.Write(ctx, one[:])
	one[0] = Write{}
	oneWrite.Put(one)
	switch {
	case err != nil || errs == nil:
		return err
	case len(errs) != 1:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, errResults)
	}
	return errs[0]
}

// CheckKey is the check that Get starts with, for implementations: it returns the error of
// a context that is done, or [ErrInvalid] for a key that is not valid.
func CheckKey(ctx context.Context, key Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return key.Validate()
}

// CheckKeys is the check that GetMany starts with, for implementations: it returns the
// error of a context that is done, [ErrInvalid] for a key that is not valid or more than
// MaxBatch, and [ErrDuplicateKey] for one that comes twice.
func CheckKeys(ctx context.Context, keys []Key) error {
	if err := checkBatch(len(keys)); err != nil {
		return err
	}
	return checkMany(ctx, len(keys), func(i int) *Key { return &keys[i] })
}

// CheckWrites is the check that Write starts with, for implementations, and SetEntries
// with one write that has Expect, Entries and any revision above Expect. Errors are those
// of [CheckKeys], and ErrInvalid for a revision, an entry or a note that is not valid.
func CheckWrites(ctx context.Context, writes []Write) error {
	if err := checkBatch(len(writes)); err != nil {
		return err
	}
	if err := checkMany(ctx, len(writes), func(i int) *Key { return &writes[i].Record.Key }); err != nil {
		return err
	}
	for i := range writes {
		if err := writes[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (w *Write) check() error {
	switch {
	case w.Delete && w.Expect == 0:
		return invalid("a delete expects revision 0, which means absent")
	case w.Record.Revision <= w.Expect:
		return invalid("the revision of a write is not above the expected one")
	case w.Record.Revision > math.MaxInt64:
		return invalid("the revision of a write is above the largest int64")
	case w.Delete && len(w.Entries) > 0:
		return invalid("a delete has entries")
	case len(w.Entries) > MaxEntries:
		return invalid("a record has more than 16 entries")
	}
	if w.Note != nil {
		if err := w.Note.check(); err != nil {
			return err
		}
	}
	for i, e := range w.Entries {
		switch {
		case e.Index == 0:
			return invalid("an entry has index 0")
		case len(e.Value) == 0 || len(e.Value) > MaxValue:
			return invalid("the value of an entry is not 1 to 256 bytes")
		case i > 0 && w.Entries[i-1].Compare(e) >= 0:
			return invalid("entries are not sorted, or one comes twice")
		}
	}
	return nil
}

func isText(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

func checkBatch(n int) error {
	if n > MaxBatch {
		return invalid("more than 1000 keys in one call")
	}
	return nil
}

// checkMany allocates nothing if the keys ascend, as mostly.
func checkMany(ctx context.Context, n int, key func(i int) *Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ascends := true
	for i := range n {
		if err := key(i).Validate(); err != nil {
			return err
		}
		ascends = ascends && (i == 0 || key(i-1).Compare(*key(i)) < 0)
	}
	if ascends {
		return nil
	}
	seen := make(map[Key]struct{}, n)
	for i := range n {
		k := *key(i)
		if _, twice := seen[k]; twice {
			return ErrDuplicateKey
		}
		seen[k] = struct{}{}
	}
	return nil
}

// SortEntries sorts entries as a [Write] demands, and removes those that come twice: the
// one that is left is unique if one of them was. It changes the slice.
func SortEntries(entries []Entry) []Entry {
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := a.Compare(b); c != 0 || a.Unique == b.Unique {
			return c
		}
		if a.Unique {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(entries, func(a, b Entry) bool { return a.Compare(b) == 0 })
}
