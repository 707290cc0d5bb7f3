package storagetest

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/resourcekit/storage"
)

// Op is a call that a plan decides on.
type Op struct {
	Name string      // get, put, delete or list; a batch is asked about for each of its keys
	Key  storage.Key // without an ExternalID for list
	N    int         // which call of the store it is, over all names, from 1
}

// Fault is what happens to a call. The zero Fault is none: the call goes
// through.
type Fault struct {
	// Err is returned in place of what the store says. Which errors are
	// honest, and for which calls, the contract of storage.Store tells: a
	// conflict for put and delete, an unknown outcome for these as well,
	// ErrUnavailable for all.
	Err error

	// Applied makes the call go through before Err is returned. It is
	// honest for storage.ErrUnknownOutcome only.
	Applied bool

	// Delay is waited for before anything happens. A context that ends
	// meanwhile gives its error, and the call has no effect.
	Delay time.Duration

	// MaxPage, if above 0, cuts the page of a list to this many records.
	MaxPage int
}

// Plan decides what happens to each call. It is called by as many goroutines
// as call the store.
type Plan func(Op) Fault

// Rates are the chances of faults in a RandomPlan, each from 0 to 1, and how
// large they are.
type Rates struct {
	Conflict    float64 // spurious, of a put or delete
	Unavailable float64 // of any call
	Unknown     float64 // of a put or delete, every other one applied
	ShortPage   float64 // a list of 1 to 3 records
	Delay       float64 // up to MaxDelay, of any call
	MaxDelay    time.Duration
}

// RandomPlan returns a plan of random faults in which the seed and the number
// of the call decide alone: a program with one goroutine meets the same faults
// each time.
func RandomPlan(seed uint64, rates Rates) Plan {
	return func(op Op) Fault {
		random := newRand(seed ^ uint64(op.N)*0x9E3779B97F4A7C15)
		hit := func(chance float64) bool { return random.Float64() < chance }
		var f Fault
		if hit(rates.Delay) && rates.MaxDelay > 0 {
			f.Delay = time.Duration(random.Int64N(int64(rates.MaxDelay))) + 1
		}
		write := op.Name == "put" || op.Name == "delete"
		switch {
		case hit(rates.Unavailable):
			f.Err = storage.ErrUnavailable
		case write && hit(rates.Conflict):
			f.Err = storage.ErrConflict
		case write && hit(rates.Unknown):
			f.Err, f.Applied = storage.ErrUnknownOutcome, hit(0.5)
		case op.Name == "list" && hit(rates.ShortPage):
			f.MaxPage = 1 + random.IntN(3)
		}
		return f
	}
}

// Faulty returns the store with the faults of the plan. Calls that the contract
// refuses before anything else (a context that is done, arguments that are not
// valid) are refused without asking the plan. Injected errors are wrapped in a
// *storage.OpError.
//
// The result is a storage.BatchStore, a storage.BatchDeleter and a
// storage.Limiter whatever the store is: a batch asks the plan for each of its
// keys, and hands those without a fault on as one batch. It is not a storage.Recaller:
// put it below one.
func Faulty(store storage.Store, plan Plan) storage.Store {
	return &faulty{store: store, plan: plan}
}

var (
	_ storage.BatchStore   = (*faulty)(nil)
	_ storage.BatchDeleter = (*faulty)(nil)
	_ storage.Limiter      = (*faulty)(nil)
)

type faulty struct {
	store storage.Store
	plan  Plan
	calls atomic.Int64
}

// ask asks the plan and waits as long as it says.
func (f *faulty) ask(ctx context.Context, name string, key storage.Key) (Fault, error) {
	fault := f.plan(Op{Name: name, Key: key, N: int(f.calls.Add(1))})
	if fault.Err != nil {
		fault.Err = &storage.OpError{Op: name, Key: key, Err: fault.Err}
	}
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fault, ctx.Err()
		}
	}
	return fault, nil
}

func (f *faulty) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := storage.CheckKey(ctx, key); err != nil {
		return storage.Record{}, err
	}
	fault, err := f.ask(ctx, "get", key)
	if err != nil {
		return storage.Record{}, err
	}
	if fault.Err != nil {
		return storage.Record{}, fault.Err
	}
	return f.store.Get(ctx, key)
}

func (f *faulty) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if err := storage.CheckKey(ctx, rec.Key); err != nil {
		return 0, err
	}
	fault, err := f.ask(ctx, "put", rec.Key)
	if err != nil {
		return 0, err
	}
	if fault.Err != nil && !fault.Applied {
		return 0, fault.Err
	}
	rev, err := f.store.Put(ctx, rec, expect)
	if fault.Err != nil {
		return 0, fault.Err
	}
	return rev, err
}

func (f *faulty) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if err := storage.CheckDelete(ctx, key, expect); err != nil {
		return err
	}
	fault, err := f.ask(ctx, "delete", key)
	if err != nil {
		return err
	}
	if fault.Err != nil && !fault.Applied {
		return fault.Err
	}
	err = f.store.Delete(ctx, key, expect)
	if fault.Err != nil {
		return fault.Err
	}
	return err
}

func (f *faulty) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(ctx, scope, after, limit)
	if err != nil {
		return storage.Page{}, err
	}
	fault, err := f.ask(ctx, "list", storage.Key{Tenant: scope.Tenant, Schema: scope.Schema})
	if err != nil {
		return storage.Page{}, err
	}
	if fault.Err != nil {
		return storage.Page{}, fault.Err
	}
	page, err := f.store.List(ctx, scope, after, limit)
	if n := fault.MaxPage; err == nil && n > 0 && n < len(page.Records) {
		page.Records = page.Records[:n]
		page.Next = page.Records[n-1].Key.ExternalID
	}
	return page, err
}

// GetMany fails as a whole if the get of any key does.
func (f *faulty) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, key := range keys {
		fault, err := f.ask(ctx, "get", key)
		if err == nil {
			err = fault.Err
		}
		if err != nil {
			return nil, err
		}
	}
	return storage.GetMany(ctx, f.store, keys)
}

// PutMany decides on each operation by itself.
func (f *faulty) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := make([]storage.PutResult, len(ops))
	var through []storage.PutOp
	var place []int // of the operations that go through
	for i, op := range ops {
		fault, err := f.ask(ctx, "put", op.Record.Key)
		goes := err == nil && (fault.Err == nil || fault.Applied)
		if err == nil {
			err = fault.Err
		}
		results[i].Err = err
		if goes {
			through = append(through, op)
			place = append(place, i)
		}
	}
	done, err := storage.PutMany(ctx, f.store, through)
	if err != nil {
		// The batch was refused as a whole: nothing went through.
		done = make([]storage.PutResult, len(through))
		for i := range done {
			done[i].Err = err
		}
	}
	for i, result := range done {
		if results[place[i]].Err == nil {
			results[place[i]] = result
		}
	}
	return results, nil
}

// DeleteMany decides on each operation by itself.
func (f *faulty) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := make([]error, len(ops))
	var through []storage.DeleteOp
	var place []int // of the operations that go through
	for i, op := range ops {
		fault, err := f.ask(ctx, "delete", op.Key)
		goes := err == nil && (fault.Err == nil || fault.Applied)
		if results[i] = err; err == nil {
			results[i] = fault.Err
		}
		if goes {
			through = append(through, op)
			place = append(place, i)
		}
	}
	done, err := storage.DeleteMany(ctx, f.store, through)
	for i := range through {
		if results[place[i]] != nil {
			continue
		}
		if results[place[i]] = err; err == nil { // else it was refused as a whole
			results[place[i]] = done[i]
		}
	}
	return results, nil
}

func (f *faulty) Limits() storage.Limits {
	if l, ok := f.store.(storage.Limiter); ok {
		return l.Limits()
	}
	return storage.Limits{}
}

func (f *faulty) Close() error { return f.store.Close() }
