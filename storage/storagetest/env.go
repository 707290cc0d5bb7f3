package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// tb is what a case needs of a *testing.T: that, or a recorder.
type tb interface {
	Errorf(format string, args ...any)
	FailNow()
}

// env is what a case works with. It is a require.TestingT that begins each failure with
// the contract.
type env struct {
	tb       tb
	contract string
	open     func() storage.Store // a fresh store, which cleanUp closes
	places   *places              // nil unless the suite runs on a Durable
	cleanups []func()
}

// cleanUp closes what the case opened, the last first.
func (e *env) cleanUp() {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
	e.cleanups = nil
}

func (e *env) closeLater(store storage.Store) {
	e.cleanups = append(e.cleanups, func() { _ = store.Close() })
}

func (e *env) Errorf(format string, args ...any) {
	e.tb.Errorf("contract: %s\n%s", e.contract, fmt.Sprintf(format, args...))
}

func (e *env) FailNow() { e.tb.FailNow() }

func (e *env) fatalf(format string, args ...any) {
	e.Errorf(format, args...)
	e.FailNow()
}

// maxSpurious is how often in a row a conflict may be spurious.
const maxSpurious = 100

// settled calls op until its error is not a conflict: for calls that must not end in
// one. A conflict that stays is returned.
func settled(op func() error) (err error) {
	for range maxSpurious {
		if err = op(); !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
	return err
}

// putOf is a write of the record with a new revision.
func putOf(rec storage.Record, expect storage.Revision) storage.Write {
	rec.Revision = storage.NextRevision(expect)
	return storage.Write{Record: rec, Expect: expect}
}

func deleteOf(key storage.Key, expect storage.Revision) storage.Write {
	w := putOf(storage.Record{Key: key}, expect)
	w.Delete = true
	return w
}

// writeAll returns one error per write, or an error for all.
func writeAll(ctx context.Context, store storage.Store, writes []storage.Write) ([]error, error) {
	errs, err := store.Write(ctx, writes)
	switch {
	case err != nil && errs != nil:
		return nil, fmt.Errorf("errors for each write beside %w", err)
	case err != nil:
		return nil, err
	case errs == nil:
		return make([]error, len(writes)), nil
	case len(errs) != len(writes):
		return nil, fmt.Errorf("%d errors for %d writes", len(errs), len(writes))
	case errors.Join(errs...) == nil:
		return nil, errors.New("a slice of errors that are all nil")
	}
	return errs, nil
}

// write makes one write and returns its error.
func write(ctx context.Context, store storage.Store, w storage.Write) error {
	errs, err := writeAll(ctx, store, []storage.Write{w})
	if err != nil {
		return err
	}
	return errs[0]
}

// put writes the record and returns its revision. It repeats conflicts: use it where
// they can only be spurious.
func put(store storage.Store, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	w := putOf(rec, expect)
	return w.Record.Revision, settled(func() error { return write(context.Background(), store, w) })
}

// remove deletes the record, as put.
func remove(store storage.Store, key storage.Key, expect storage.Revision) error {
	w := deleteOf(key, expect)
	return settled(func() error { return write(context.Background(), store, w) })
}

// mustPut puts, and returns the record as it must be from then on.
func (e *env) mustPut(store storage.Store, rec storage.Record, expect storage.Revision) storage.Record {
	rev, err := put(store, rec, expect)
	require.NoError(e, err, "put with the right revision")
	rec.Revision = rev
	return rec
}

func (e *env) mustDelete(store storage.Store, rec storage.Record) {
	require.NoError(e, remove(store, rec.Key, rec.Revision), "delete with the right revision")
}

// holds fails unless the store returns exactly this record, from Get and from List.
func (e *env) holds(store storage.Store, want storage.Record) {
	got, err := store.Get(context.Background(), want.Key)
	require.NoError(e, err, "get of a stored record")
	e.same(want, got)
	for _, rec := range e.walk(store, want.Key.Scope(), storage.Range{Limit: 10}) {
		if rec.Key == want.Key {
			e.same(want, rec)
			return
		}
	}
	e.fatalf("the record is missing in the list")
}

// absent fails if the store has a record under the key.
func (e *env) absent(store storage.Store, key storage.Key) {
	got, err := store.Get(context.Background(), key)
	require.ErrorIs(e, err, storage.ErrNotFound)
	require.Zero(e, got.Revision, "revision beside ErrNotFound")
	for _, rec := range e.walk(store, key.Scope(), storage.Range{Limit: 10}) {
		require.NotEqual(e, key, rec.Key, "the list has an absent record")
	}
}

// same fails unless got is the record want, with its times as stored.
func (e *env) same(want, got storage.Record) {
	if why := differ(want, got); why != "" {
		e.fatalf("%s", why)
	}
}

func differ(want, got storage.Record) string {
	switch {
	case got.Key != want.Key:
		return fmt.Sprintf("key %q of %v, want %q of %v", got.Key.ExternalID, got.Key, want.Key.ExternalID, want.Key)
	case got.Revision != want.Revision:
		return fmt.Sprintf("revision %d, want %d", got.Revision, want.Revision)
	case got.ID != want.ID:
		return fmt.Sprintf("ID %s, want %s", got.ID, want.ID)
	case !bytes.Equal(got.Data, want.Data):
		return fmt.Sprintf("data %.80q, want %.80q", got.Data, want.Data)
	}
	for _, times := range [][2]time.Time{{got.CreatedAt, want.CreatedAt}, {got.UpdatedAt, want.UpdatedAt}} {
		stored := times[1].UTC().Truncate(time.Millisecond)
		if !times[0].Equal(stored) {
			return fmt.Sprintf("time %s, want %s", times[0].Format(time.RFC3339Nano), stored.Format(time.RFC3339Nano))
		}
		if times[0].Location() != time.UTC {
			return fmt.Sprintf("a time in location %q, want time.UTC", times[0].Location())
		}
	}
	return ""
}

// after is the range of a list that begins after an external id; "" is the beginning.
func after(id string, limit int) storage.Range {
	return storage.Range{After: storage.Position{ExternalID: id}, Limit: limit}
}

// walk lists the scope page by page, from the start of the range to the end, and checks
// the rules of every walk.
func (e *env) walk(store storage.Store, scope storage.Scope, r storage.Range) []storage.Record {
	// follows reports whether b comes after a in the direction of the walk. Every id
	// follows the start of a list, which is "".
	follows := func(a, b string) bool {
		return a == "" || b > a && !r.Backwards || b < a && r.Backwards
	}
	var all []storage.Record
	for last := r.After.ExternalID; ; {
		page, err := store.List(context.Background(), scope, r)
		require.NoError(e, err, "list")
		require.LessOrEqual(e, len(page.Records), min(r.Limit, storage.MaxPage), "records in a page")
		require.Empty(e, page.Values, "values in a page of a list")
		for _, rec := range page.Records {
			require.Equal(e, scope, rec.Key.Scope(), "scope of a listed record")
			require.NotZero(e, rec.Revision, "revision of a listed record")
			id := rec.Key.ExternalID
			if id == r.After.ExternalID {
				e.fatalf("the list after %.80q begins with that id itself: the cursor is exclusive", id)
			}
			if !follows(last, id) {
				e.fatalf("the list has %.80q after %.80q", id, last)
			}
			last = id
		}
		all = append(all, page.Records...)
		if page.Next.IsZero() {
			return all
		}
		next := page.Next.ExternalID
		if !follows(r.After.ExternalID, next) || next != last && !follows(last, next) {
			e.fatalf("the cursor %q does not lead on from %q, after a page that ends with %q", next, r.After.ExternalID, last)
		}
		require.Empty(e, page.Next.Value, "value in a position of a list")
		r.After, last = page.Next, next
	}
}

// testScope is where most cases keep their records.
var testScope = storage.Scope{
	Tenant: storage.TenantOf("storagetest", "main"),
	Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
}

func keyIn(scope storage.Scope, id string) storage.Key {
	return storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: id}
}

func testKey(id string) storage.Key { return keyIn(testScope, id) }

// testTime is on the millisecond, as the layers above make their times.
var testTime = time.Date(2025, 3, 1, 12, 30, 15, 678_000_000, time.UTC)

func record(key storage.Key, data string) storage.Record {
	return storage.Record{
		Key:       key,
		ID:        uuid.NewSHA1(uuid.NameSpaceURL, []byte(key.ExternalID)),
		CreatedAt: testTime,
		UpdatedAt: testTime.Add(time.Hour),
		Data:      []byte(data),
	}
}

// inParallel runs f(0) to f(n-1) at the same time and returns their errors.
func inParallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errors.Join(errs...)
}

// silent fails if the text of an error has one of the secrets.
func (e *env) silent(err error, secrets ...string) {
	if err == nil {
		return
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(err.Error(), s) {
			e.fatalf("the text of an error has an external id or data: %.200q", err.Error())
		}
	}
}

// newRand returns a generator whose numbers depend on the seed alone.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// labelled calls f, and labels the goroutines that it starts as those of the case.
func (e *env) labelled(f func()) {
	pprof.Do(context.Background(), pprof.Labels("storagetest", e.label()), func(context.Context) { f() })
}

func (e *env) label() string { return fmt.Sprintf("%p", e) }

// goroutines returns how many the case has, once those that are about to end have ended.
// Other tests may run at the same time.
func (e *env) goroutines() (count int) {
	runtime.Gosched()
	var profile bytes.Buffer
	require.NoError(e, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	n := 0
	for line := range strings.Lines(profile.String()) {
		if same, _, ok := strings.Cut(line, " @ "); ok { // with one stack and one label
			n, _ = strconv.Atoi(same)
		} else if strings.HasPrefix(line, "# labels:") && strings.Contains(line, strconv.Quote(e.label())) {
			count += n
		}
	}
	return count
}
