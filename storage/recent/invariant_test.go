package recent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// check fails unless the parts of s agree.
func check(t *testing.T, s *Store) {
	bytes, hand := 0, s.hand == nil
	for e := s.order.Front(); e != nil; e = e.Next() {
		r := e.Value.(*remembered)
		require.Same(t, e, r.place)
		require.Same(t, r, s.records[r.Key])
		require.NotZero(t, r.Revision)
		require.LessOrEqual(t, r.at, s.now.remembered)
		bytes += sizeOf(&r.Record)
		hand = hand || e == s.hand
	}
	require.True(t, hand, "the hand is at a record that is remembered")
	require.Equal(t, s.order.Len(), len(s.records))
	require.Equal(t, s.stats.Records, len(s.records))
	require.Equal(t, s.stats.Bytes, bytes)
	require.LessOrEqual(t, bytes, max(0, s.max))
}

// TestInvariants makes random calls, with records that grow and shrink, in memories that
// are always full.
func TestInvariants(t *testing.T) {
	ctx := context.Background()
	for _, bound := range []int{-1, 0, 559, 1000, 4_000, 20_000} {
		for seed := range uint64(8) {
			random := rand.New(rand.NewPCG(seed, uint64(bound+1)))
			below := memory.New()
			here, elsewhere := New(below, bound), New(below, 1<<20)
			for range 1000 {
				key := storage.Key{Tenant: storage.TenantOf("acme", "main"), Schema: uuid.Max, ExternalID: fmt.Sprint("k-", random.IntN(8))}
				data := make([]byte, random.IntN(1+random.IntN(3_000)))
				change := func(old storage.Record) (storage.Record, error) { old.Data = data; return old, nil }
				remove := func(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete }
				var err error
				switch random.IntN(10) {
				case 0:
					_, err = storage.Update(ctx, here, key, remove)
				case 1:
					_, err = storage.Update(ctx, elsewhere, key, change)
				case 2:
					_, err = storage.Update(ctx, elsewhere, key, remove)
				case 3:
					_, _ = here.Get(ctx, key)
				case 4:
					_, _ = storage.Put(ctx, here, storage.Record{Key: key, Data: data}, storage.Revision(random.IntN(2)))
				case 5:
					_ = storage.Delete(ctx, here, key, 1)
				default:
					_, err = storage.Update(ctx, here, key, change)
				}
				require.NoError(t, err)
				check(t, here)
			}
			require.NoError(t, here.Close())
			check(t, here)
			require.Zero(t, here.order.Len())
		}
	}
}

// TestHand: records that were not used go first, in the order in which they came. A record
// is used when it is recalled or written.
func TestHand(t *testing.T) {
	ctx := context.Background()
	s := New(memory.New(), 4*(overhead+1))
	key := func(id string) storage.Key {
		return storage.Key{Tenant: storage.TenantOf("acme", "main"), Schema: uuid.Max, ExternalID: id}
	}
	held := func() (ids string) {
		for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			if _, ok := s.records[key(id)]; ok {
				ids += id
			}
		}
		return ids
	}
	for _, step := range []struct {
		use, create string
		held        string
		put         bool
	}{
		{"", "a", "a", false}, {"", "b", "ab", false}, {"", "c", "abc", false}, {"", "d", "abcd", false},
		{"a", "e", "acde", false}, // b was next after a, which was used
		{"", "f", "adef", false},
		{"d", "g", "defg", true}, // the hand passes d, and a goes, which was not used again
		{"", "h", "dfgh", false},
	} {
		if step.use != "" {
			rec := s.records[key(step.use)].Record
			if step.put {
				_, err := storage.Put(ctx, s, rec, rec.Revision)
				require.NoError(t, err)
			} else {
				_, ok := s.Recall(rec.Key)
				require.True(t, ok)
			}
		}
		_, err := storage.Put(ctx, s, storage.Record{Key: key(step.create)}, 0)
		require.NoError(t, err)
		require.Equal(t, step.held, held(), "after %s", step.create)
		check(t, s)
	}
}
