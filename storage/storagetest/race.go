package storagetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var raceCases = []testCase{
	{"race/lost-update", "Writers that change different things of one record at the same time all keep their change.", caseLostUpdate},
	{"race/first-writer", "Of many writers that create one key at the same time exactly one creates it.", caseFirstWriter},
	{"race/create-delete", "An update that is acknowledged while the record is deleted and created again is not lost.", caseCreateDelete},
	{"race/hammer", "However close together writes, creates and deletes of one key come, each acknowledged change is there, or was deleted by an acknowledged delete.", caseHammer},
	{"race/linearizable", "Get and Write on one key are linearizable.", caseLinearizable},
}

// addField is a change as the layers above make it: it keeps the data and adds one line
// of its own.
func addField(store storage.Store, key storage.Key, field string) (storage.Record, error) {
	return storage.Update(context.Background(), store, key, func(old storage.Record) (storage.Record, error) {
		runtime.Gosched() // so that others get between the read and the write
		return record(key, string(old.Data)+field+"\n"), nil
	})
}

func caseLostUpdate(e *env) {
	const writers, keys, rounds = 64, 4, 5
	store := e.open()
	key := func(n int) storage.Key { return testKey(fmt.Sprint("key-", n)) }
	// One key for all first, then several, so that writers meet both often and rarely.
	for _, spread := range []int{1, keys} {
		err := inParallel(writers, func(w int) error {
			for r := range rounds {
				if _, err := addField(store, key((w+r)%spread), fmt.Sprintf("%d-%d-%d", spread, w, r)); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(e, err)
		for w := range writers {
			for r := range rounds {
				rec, err := store.Get(context.Background(), key((w+r)%spread))
				require.NoError(e, err)
				field := fmt.Sprintf("%d-%d-%d\n", spread, w, r)
				if n := strings.Count("\n"+string(rec.Data), "\n"+field); n != 1 {
					e.fatalf("an acknowledged change is there %d times", n)
				}
			}
		}
	}
}

func caseFirstWriter(e *env) {
	const writers, rounds = 64, 10
	store := e.open()
	for round := range rounds {
		key := testKey(fmt.Sprint("new-", round))
		var creators atomic.Int64
		err := inParallel(writers, func(w int) error {
			created := false
			_, err := storage.Update(context.Background(), store, key, func(old storage.Record) (storage.Record, error) {
				created = old.Revision == 0
				runtime.Gosched()
				return record(key, string(old.Data)+fmt.Sprintf("%d\n", w)), nil
			})
			if err == nil && created {
				creators.Add(1)
			}
			return err
		})
		require.NoError(e, err)
		require.EqualValues(e, 1, creators.Load(), "writers that created the key")
		rec, err := store.Get(context.Background(), key)
		require.NoError(e, err)
		require.Equal(e, writers, strings.Count(string(rec.Data), "\n"), "changes that are there")
	}
}

// caseCreateDelete has some writers add to a counter while others delete the record, and
// add what they deleted to a sum of their own: no acknowledged addition may get lost
// between the two.
func caseCreateDelete(e *env) {
	const writers, additions = 8, 200
	ctx := context.Background()
	store, key := e.open(), testKey("counter")
	var deleted atomic.Int64
	var writing atomic.Int64
	writing.Store(writers)
	err := inParallel(writers+2, func(i int) error {
		if i < writers {
			defer writing.Add(-1)
			for range additions {
				_, err := storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
					runtime.Gosched()
					return record(key, string(old.Data)+"+"), nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		}
		for writing.Load() > 0 {
			rec, err := store.Get(ctx, key)
			if err == nil {
				if i == writers { // the other one gets through where goroutines take turns
					runtime.Gosched()
				}
				err = write(ctx, store, deleteOf(key, rec.Revision))
				if err == nil {
					deleted.Add(int64(len(rec.Data)))
				}
			}
			if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrConflict) {
				return err
			}
			time.Sleep(20 * time.Microsecond) // or the writers would hardly get a turn
		}
		return nil
	})
	require.NoError(e, err)
	left := 0
	if rec, err := store.Get(ctx, key); err == nil {
		left = len(rec.Data)
	}
	require.EqualValues(e, writers*additions, deleted.Load()+int64(left), "additions deleted and left")
}

// hammerTime is how long caseHammer takes. Only very many attempts meet a window of some
// nanoseconds. With a time in place of a number a fast store gets as many as it needs,
// and a slow one, whose windows are wide, does not take minutes.
const hammerTime = 150 * time.Millisecond

// caseHammer counts in a record, with bare calls and without pauses. The first round only
// adds. In the second the writers also delete the record, and add what they deleted to a
// sum, and create it without a look at what is there.
func caseHammer(e *env) {
	ctx, store := context.Background(), e.open()
	for round, deletes := range []bool{false, true} {
		key := testKey(fmt.Sprint("round-", round))
		var added, deleted atomic.Int64
		start := time.Now()
		err := inParallel(4, func(w int) error {
			random := newRand(uint64(w))
			for time.Since(start) < hammerTime {
				rec, err := store.Get(ctx, key)
				if errors.Is(err, storage.ErrNotFound) || deletes && random.IntN(4) == 0 {
					rec, err = storage.Record{}, nil
				}
				if err == nil && deletes && rec.Revision != 0 && random.IntN(2) == 0 {
					if err = write(ctx, store, deleteOf(key, rec.Revision)); err == nil {
						deleted.Add(count(rec))
					}
				} else if err == nil {
					next := record(key, "")
					next.Data = binary.BigEndian.AppendUint64(nil, uint64(count(rec)+1))
					if err = write(ctx, store, putOf(next, rec.Revision)); err == nil {
						added.Add(1)
					}
				}
				if err != nil && !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		require.NoError(e, err)
		left, err := store.Get(ctx, key)
		if !errors.Is(err, storage.ErrNotFound) {
			require.NoError(e, err)
		}
		require.Equal(e, added.Load(), deleted.Load()+count(left), "additions acknowledged, and deleted and left")
	}
}

func count(rec storage.Record) int64 {
	if len(rec.Data) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(rec.Data))
}
