package storagetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"example.com/resourcekit/storage"
)

// Op is a call that a plan decides on.
type Op struct {
	// Name is get, put, delete, list, lookup, set entries, changes, redact or trim. For
	// GetMany the plan is asked about a get of each key, for Write about a put or delete
	// of each write.
	Name string

	Key storage.Key // without an ExternalID for list and lookup; zero for changes and trim
	N   int         // number of the call of the store, over all names, from 1
}

// write reports whether the call writes a record or its entries.
func (op Op) write() bool { return op.Name == "put" || op.Name == "delete" || op.Name == "set entries" }

// Fault is what happens to a call. The zero Fault is none: the call goes through.
type Fault struct {
	// Err is returned in place of the store's result. A plan should return errors that
	// the contract of storage.Store allows: a conflict or an unknown outcome for put,
	// delete and set entries, ErrUnavailable for all.
	Err error

	// Applied makes the call go through before Err is returned. The contract allows
	// that for storage.ErrUnknownOutcome only.
	Applied bool

	// Delay is waited for before anything happens. If the context ends meanwhile, the
	// call returns its error and has no effect.
	Delay time.Duration

	// MaxPage, if above 0, cuts the page of a list, a lookup or of changes to this many.
	MaxPage int
}

// Plan decides what happens to each call. All goroutines that call the store call it.
type Plan func(Op) Fault

// Rates are the probabilities of faults in a RandomPlan, each from 0 to 1, and how large
// they are.
type Rates struct {
	Conflict    float64 // spurious, of put, delete and set entries
	Unavailable float64 // of any call
	Unknown     float64 // of put, delete and set entries: half of them applied, half of them with ErrEnded
	ShortPage   float64 // a page of 1 to 3 records or changes
	Delay       float64 // up to MaxDelay, of any call
	MaxDelay    time.Duration
}

// RandomPlan returns a plan of random faults that depend on the seed and the number of
// the call alone: a program with one goroutine meets the same faults each time.
func RandomPlan(seed uint64, rates Rates) Plan {
	return func(op Op) Fault {
		random := newRand(seed ^ uint64(op.N)*0x9E3779B97F4A7C15)
		hit := func(chance float64) bool { return random.Float64() < chance }
		var f Fault
		if hit(rates.Delay) && rates.MaxDelay > 0 {
			f.Delay = time.Duration(random.Int64N(int64(rates.MaxDelay))) + 1
		}
		switch {
		case hit(rates.Unavailable):
			f.Err = storage.ErrUnavailable
		case op.write() && hit(rates.Conflict):
			f.Err = storage.ErrConflict
		case op.write() && hit(rates.Unknown):
			f.Err, f.Applied = storage.ErrUnknownOutcome, hit(0.5)
			if hit(0.5) {
				f.Err = errors.Join(f.Err, storage.ErrEnded)
			}
		case hit(rates.ShortPage):
			f.MaxPage = 1 + random.IntN(3)
		}
		return f
	}
}

// Faulty returns the store with the faults of the plan. Calls that the contract refuses
// before anything else (a context that is done, arguments that are not valid) are refused
// without asking the plan. Injected errors are wrapped in a *storage.OpError.
//
// The writes of one Write that have no fault go to the store together. The result is not
// a storage.Recaller: put it below one.
func Faulty(store storage.Store, plan Plan) storage.Store {
	return &faulty{store: store, plan: plan}
}

var _ storage.Store = (*faulty)(nil)

type faulty struct {
	store storage.Store
	plan  Plan
	calls atomic.Int64
}

// ask asks the plan and waits as long as it says. through reports whether the call goes
// to the store; if the error is not nil, it is returned in place of the store's.
func (f *faulty) ask(ctx context.Context, name string, key storage.Key) (fault Fault, through bool, err error) {
	fault = f.plan(Op{Name: name, Key: key, N: int(f.calls.Add(1))})
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fault, false, ctx.Err()
		}
	}
	if fault.Err == nil {
		return fault, true, nil
	}
	return fault, fault.Applied, &storage.OpError{Op: name, Key: key, Err: fault.Err}
}

// do makes a call without a result other than an error, if check is nil.
func (f *faulty) do(ctx context.Context, check error, name string, key storage.Key, call func() error) error {
	if check != nil {
		return check
	}
	_, through, err := f.ask(ctx, name, key)
	if through {
		if callErr := call(); err == nil {
			err = callErr
		}
	}
	return err
}

func (f *faulty) Get(ctx context.Context, key storage.Key) (rec storage.Record, err error) {
	err = f.do(ctx, storage.CheckKey(ctx, key), "get", key, func() (err error) {
		rec, err = f.store.Get(ctx, key)
		return err
	})
	if err != nil {
		return storage.Record{}, err
	}
	return rec, nil
}

// GetMany fails as a whole if the get of any key does.
func (f *faulty) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	if err := storage.CheckKeys(ctx, keys); err != nil {
		return nil, err
	}
	for _, key := range keys {
		if _, _, err := f.ask(ctx, "get", key); err != nil {
			return nil, err
		}
	}
	return f.store.GetMany(ctx, keys)
}

// Write decides on each write by itself.
func (f *faulty) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if err := storage.CheckWrites(ctx, writes); err != nil {
		return nil, err
	}
	errs := make([]error, len(writes))
	var goes []storage.Write
	var place []int // of those that go through
	for i, w := range writes {
		name := "put"
		if w.Delete {
			name = "delete"
		}
		var through bool
		if _, through, errs[i] = f.ask(ctx, name, w.Record.Key); through {
			goes, place = append(goes, w), append(place, i)
		}
	}
	if len(goes) == len(writes) && errors.Join(errs...) == nil {
		return f.store.Write(ctx, writes)
	}
	if len(goes) > 0 {
		results, err := f.store.Write(ctx, goes)
		for k, i := range place {
			switch {
			case errs[i] != nil:
			case err != nil:
				errs[i] = err
			case results != nil:
				errs[i] = results[k]
			}
		}
	}
	return errs, nil
}

func (f *faulty) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	r, check := storage.CheckList(ctx, scope, r)
	return f.page(ctx, check, "list", scope, func() (storage.Page, error) { return f.store.List(ctx, scope, r) })
}

func (f *faulty) Lookup(
	ctx context.Context, scope storage.Scope, index uint32, r storage.Range,
) (storage.Page, error) {
	r, check := storage.CheckLookup(ctx, scope, index, r)
	return f.page(ctx, check, "lookup", scope, func() (storage.Page, error) {
		return f.store.Lookup(ctx, scope, index, r)
	})
}

// page is List and Lookup, unless the check of the call has failed.
func (f *faulty) page(
	ctx context.Context, check error, name string, scope storage.Scope, call func() (storage.Page, error),
) (storage.Page, error) {
	if check != nil {
		return storage.Page{}, check
	}
	fault, _, err := f.ask(ctx, name, storage.Key{Tenant: scope.Tenant, Schema: scope.Schema})
	if err != nil {
		return storage.Page{}, err
	}
	page, err := call()
	if n := fault.MaxPage; err == nil && n > 0 && n < len(page.Records) {
		page.Records = page.Records[:n]
		page.Next = storage.Position{ExternalID: page.Records[n-1].Key.ExternalID}
		if page.Values != nil {
			page.Values = page.Values[:n]
			page.Next.Value = page.Values[n-1]
		}
	}
	return page, err
}

func (f *faulty) SetEntries(
	ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry,
) error {
	w := storage.Write{Record: storage.Record{Key: key, Revision: expect + 1}, Expect: expect, Entries: entries}
	check := storage.CheckWrites(ctx, []storage.Write{w})
	return f.do(ctx, check, "set entries", key, func() error { return f.store.SetEntries(ctx, key, expect, entries) })
}

func (f *faulty) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	q, err := storage.CheckChanges(ctx, q)
	if err != nil {
		return storage.ChangePage{}, err
	}
	fault, _, err := f.ask(ctx, "changes", storage.Key{})
	if err != nil {
		return storage.ChangePage{}, err
	}
	if n := fault.MaxPage; n > 0 && n < q.Limit {
		q.Limit = n
	}
	return f.store.Changes(ctx, q)
}

func (f *faulty) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	var n int
	err := f.do(ctx, storage.CheckKey(ctx, key), "redact", key, func() (err error) {
		n, err = f.store.Redact(ctx, key, note)
		return err
	})
	return n, err
}

func (f *faulty) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	return f.do(ctx, ctx.Err(), "trim", storage.Key{}, func() error { return f.store.Trim(ctx, before, end) })
}

func (f *faulty) Limits() storage.Limits { return f.store.Limits() }

func (f *faulty) Close() error { return f.store.Close() }
