package storagetest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var peerCases = []testCase{
	{"peer/sees-writes", "Get sees every write that was acknowledged before it began, by any store on the same records.", casePeerSees},
	{"peer/close", "Closing one of two stores on the same records leaves the other as it is.", casePeerClose},
}

// pair is two stores on the same records as one: each call goes to one of them, by
// chance.
type pair [2]storage.Store

var _ storage.Recaller = pair{}

func (p pair) one() storage.Store { return p[rand.IntN(len(p))] }

func (p pair) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	return p.one().Get(ctx, key)
}

func (p pair) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	return p.one().GetMany(ctx, keys)
}

func (p pair) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	return p.one().Write(ctx, writes)
}

func (p pair) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	return p.one().List(ctx, scope, r)
}

func (p pair) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	return p.one().Lookup(ctx, scope, index, r)
}

func (p pair) SetEntries(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error {
	return p.one().SetEntries(ctx, key, expect, entries)
}

func (p pair) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	return p.one().Changes(ctx, q)
}

func (p pair) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	return p.one().Redact(ctx, key, note)
}

func (p pair) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	return p.one().Trim(ctx, before, end)
}

// Recall asks one of the two, for a record that the other may have changed since.
func (p pair) Recall(key storage.Key) (storage.Record, bool) {
	if r, ok := p.one().(storage.Recaller); ok {
		return r.Recall(key)
	}
	return storage.Record{}, false
}

func (p pair) Limits() storage.Limits { return p[0].Limits() }

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
		// remembers records, or that there is none, has something to remember.
		e.absent(reader, key)
		rec := e.mustPut(writer, record(key, "created"), 0)
		e.holds(reader, rec)
		rec.Data = []byte("updated")
		rec = e.mustPut(writer, rec, rec.Revision)
		e.holds(reader, rec)
		many, err := reader.GetMany(context.Background(), []storage.Key{key})
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
