package storagetest

import (
	"context"
	"math/rand/v2"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var peerCases = []testCase{
	{"peer/sees-writes", "Get sees every write that was acknowledged before it began, by whatever store on the same records.", casePeerSees},
	{"peer/close", "Closing one of two stores on the same records leaves the other as it is.", casePeerClose},
}

// pair is two stores on the same records as one: each call goes to one of them,
// by chance.
type pair [2]storage.Store

var (
	_ storage.BatchStore   = pair{}
	_ storage.BatchDeleter = pair{}
	_ storage.Limiter      = pair{}
	_ storage.Recaller     = pair{}
)

func (p pair) one() storage.Store { return p[rand.IntN(len(p))] }

func (p pair) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	return p.one().Get(ctx, key)
}

func (p pair) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	return p.one().Put(ctx, rec, expect)
}

func (p pair) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	return p.one().Delete(ctx, key, expect)
}

func (p pair) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	return p.one().List(ctx, scope, after, limit)
}

func (p pair) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	return storage.GetMany(ctx, p.one(), keys)
}

func (p pair) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	return storage.PutMany(ctx, p.one(), ops)
}

func (p pair) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	return storage.DeleteMany(ctx, p.one(), ops)
}

// Recall asks one of the two, for what the other may have changed since.
func (p pair) Recall(key storage.Key) (storage.Record, bool) {
	if r, ok := p.one().(storage.Recaller); ok {
		return r.Recall(key)
	}
	return storage.Record{}, false
}

func (p pair) Limits() storage.Limits {
	if l, ok := p[0].(storage.Limiter); ok {
		return l.Limits()
	}
	return storage.Limits{}
}

func (p pair) Close() error {
	_ = p[0].Close()
	return p[1].Close()
}

// onPair runs the case on two stores at one place instead of on one.
func (c testCase) onPair(e *env) {
	e.open = func() storage.Store {
		place := e.newPlace()
		return pair{e.openAt(place), e.openAt(place)}
	}
	c.run(e)
}

func casePeerSees(e *env) {
	const rounds = 20
	place := e.newPlace()
	stores := [2]storage.Store{e.openAt(place), e.openAt(place)}
	key := testKey("key")
	for round := range rounds {
		writer, reader := stores[round%2], stores[1-round%2]
		// The reader looks before and after each write, so that a store which
		// keeps what it read, or that there was nothing, has something to keep.
		e.absent(reader, key)
		rec := e.mustPut(writer, record(key, "created"), 0)
		e.holds(reader, rec)
		rec.Data = []byte("updated")
		rec = e.mustPut(writer, rec, rec.Revision)
		e.holds(reader, rec)
		many, err := storage.GetMany(context.Background(), reader, []storage.Key{key})
		require.NoError(e, err)
		e.same(rec, many[0])
		e.mustDelete(writer, rec)
		e.absent(reader, key)
		rec = e.mustPut(writer, record(key, "created again"), 0)
		e.holds(reader, rec)
		e.mustDelete(writer, rec)
	}
}

func casePeerClose(e *env) {
	place := e.newPlace()
	a, b := e.openAt(place), e.openAt(place)
	rec := e.mustPut(a, record(testKey("key"), "x"), 0)
	require.NoError(e, a.Close())
	e.holds(b, rec)
	rec.Data = []byte("y")
	rec = e.mustPut(b, rec, rec.Revision)
	e.holds(b, rec)
	require.NoError(e, b.Close())
	e.holds(e.openAt(place), rec)
}
