package resource_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
)

// These tests run on a synthetic clock, in which synctest.Wait returns when
// every goroutine waits for another.

// blocking is a store whose puts of customer c-1 wait until they are let go.
func blocking(store storage.Store) (s *hooked, letGo chan struct{}) {
	letGo = make(chan struct{})
	return &hooked{Store: store, onPut: func(rec storage.Record) error {
		if rec.Key.ExternalID == "c-1" {
			<-letGo
		}
		return nil
	}}, letGo
}

// write starts an upsert of c-1's email. Its error comes through the channel.
func write(c *resource.Collection, ctx context.Context, email string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"`+email+`"`)), nil)
		done <- err
	}()
	return done
}

func TestLock_anotherKeyIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, letGo := blocking(memory.New())
		c := open(t, schema.Customers(), store, nil)
		first := write(c, ctx, "a")
		synctest.Wait()
		waiting := write(c, ctx, "b")
		synctest.Wait()
		for i := range 500 { // more than there can be shards
			create(t, c, strings.Replace(cust(``), "c-1", fmt.Sprintf("other-%d", i), 1))
		}
		_, err := c.Create(ctx, storage.TenantOf("platform", "other"), []byte(strings.Replace(cust(``), "c-1", "c-2", 1)), nil)
		assert.NoError(t, err)
		_, err = c.Get(ctx, tenant, "c-1")
		assert.ErrorIs(t, err, resource.ErrNotFound, "readers do not wait")
		close(letGo)
		assert.NoError(t, <-first)
		assert.NoError(t, <-waiting)
	})
}

func TestLock_deadlineWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, letGo := blocking(memory.New())
		c := open(t, schema.Customers(), store, nil)
		first := write(c, ctx, "a")
		synctest.Wait()
		gets := store.gets.Load()
		start := time.Now()
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err := <-write(c, limited, "b")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, storage.ErrUnknownOutcome)
		assert.NotContains(t, err.Error(), "c-1")
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, gets, store.gets.Load(), "the store was not asked")
		assert.Equal(t, int64(1), store.puts.Load())
		close(letGo)
		assert.NoError(t, <-first)
		assert.NoError(t, <-write(c, ctx, "c"))
		assert.Equal(t, cust(`,"email":"c"`+outs), string(stored(t, store, customerKey("c-1")).Data))
	})
}

func TestLock_cancelledWaitersLeaveTheQueueIntact(t *testing.T) {
	for _, leave := range []string{"", "0", "1", "4", "01", "34", "13", "0123", "1234", "01234"} {
		t.Run("leave "+leave, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var order []string // of the puts, one at a time
				mem := memory.New()
				letGo := make(chan struct{})
				store := &hooked{Store: mem, onPut: func(rec storage.Record) error {
					<-letGo
					_, rest, _ := strings.Cut(string(rec.Data), `"email":"`)
					order = append(order, rest[:1])
					return nil
				}}
				c := open(t, schema.Customers(), store, nil)
				first := write(c, ctx, "x")
				synctest.Wait()
				var done [5]<-chan error
				var cancel [5]context.CancelFunc
				for i := range done {
					var some context.Context
					some, cancel[i] = context.WithCancel(ctx)
					defer cancel[i]()
					done[i] = write(c, some, fmt.Sprint(i))
					synctest.Wait() // so they queue in this order
				}
				for _, i := range leave {
					cancel[i-'0']()
					assert.ErrorIs(t, <-done[i-'0'], context.Canceled)
				}
				close(letGo)
				assert.NoError(t, <-first)
				want := "x"
				for i := range done {
					if name := fmt.Sprint(i); !strings.Contains(leave, name) {
						want += name
						assert.NoError(t, <-done[i])
					}
				}
				assert.Equal(t, want, strings.Join(order, ""), "first come, first served")
				assert.NoError(t, <-write(c, ctx, "y"), "the lock is free in the end")
			})
		})
	}
}

func TestLock_isFreeAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := true
		store := &hooked{Store: memory.New(), onPut: func(storage.Record) error {
			if bad {
				panic("store")
			}
			return nil
		}}
		c := open(t, schema.Customers(), store, nil)
		assert.Panics(t, func() { create(t, c, cust(``)) })
		bad = false
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		assert.NoError(t, <-write(c, limited, "a"))
	})
}

// TestLock_oneWriterAtATime: within a collection writers of one key do not
// collide, so each reads and puts once.
func TestLock_oneWriterAtATime(t *testing.T) {
	store := yielding().(*hooked)
	c := open(t, schema.Customers(), store, nil)
	create(t, c, cust(``))
	gets, puts := store.gets.Load(), store.puts.Load()
	atOnce(writers, func(i int) {
		_, err := c.Create(ctx, tenant, fmt.Appendf(nil, `{"customerId":"c-1","email":"%d"}`, i), nil)
		assert.NoError(t, err)
	})
	assert.Equal(t, gets+writers, store.gets.Load())
	assert.Equal(t, puts+writers, store.puts.Load())
}

// TestNowThatCallsTheCollection: what Options.Now must not do ends with the context of
// the call that it makes, and costs nobody else anything.
func TestNowThatCallsTheCollection(t *testing.T) {
	var c *resource.Collection
	var inner error
	opts := &resource.Options{Now: func() time.Time {
		if c != nil {
			again, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, inner = c.Create(again, tenant, []byte(cust(`,"email":"inner"`)), nil)
		}
		return before
	}}
	c = open(t, schema.Customers(), memory.New(), opts)
	res := create(t, c, cust(`,"email":"outer"`))
	assert.ErrorIs(t, inner, context.DeadlineExceeded)
	assert.Equal(t, resource.Created, res.Outcome)
}
