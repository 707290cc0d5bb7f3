package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
)

// operation is what an error says about a call.
type operation struct {
	name  string
	key   storage.Key
	write bool
}

func (op operation) failed(err error) error {
	return &storage.OpError{Op: op.name, Key: op.key, Err: err}
}

// A read that a serializable transaction stands in the way of is tried again, at
// once and then after random pauses of up to maxReadPause, so that it gets through
// where others write all the time: some 0.2 s in all.
const (
	maxReads     = 25
	maxReadPause = 20 * time.Millisecond
)

// grace is for how long a write whose context has ended still waits for its
// answer. That is mostly a matter of milliseconds, and a known outcome is worth
// far more than they are.
const grace = 100 * time.Millisecond

// do runs the statements of one call on one connection. Its errors are those
// of the contract.
//
// The caller's context ends the wait for a connection, and the caller's wait for
// the answer, a write's after a grace, but never a statement that has been sent:
// that runs to its end, under a timeout of its own, and gives the connection back.
// Otherwise every cancelled request would cost a connection, since one on which an
// answer is still to come is good for nothing else, and would interrupt a commit
// that waits for its standby, which leaves it applied on the primary alone.
//
// The statement function may so outlive the call: it shares no memory with it
// but what nobody changes.
func do[T any](ctx context.Context, t *table, op operation, statement func(context.Context, *pgx.Conn) (T, error)) (T, error) {
	var none T
	if err := t.begin(); err != nil {
		return none, err
	}
	timeout := t.opts.ReadTimeout
	if op.write {
		timeout = t.opts.WriteTimeout
	}
	conn, err := t.acquire(ctx, timeout)
	if err != nil {
		t.calls.Done()
		return none, op.failed(err)
	}
	type answer struct {
		value T
		err   error
	}
	run := func() answer {
		defer t.calls.Done()
		defer conn.Release()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		for attempt := 1; ; attempt++ {
			value, err := statement(ctx, conn.Conn())
			if err == nil {
				return answer{value: value}
			}
			if op.write || attempt == maxReads || !collided(err) {
				return answer{err: op.failed(classify(err, op.write))}
			}
			if attempt > 1 {
				time.Sleep(rand.N(maxReadPause))
			}
		}
	}
	if ctx.Done() == nil {
		a := run()
		return a.value, a.err
	}
	answers := make(chan answer, 1)
	go func() { answers <- run() }()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
	}
	if op.write {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case a := <-answers:
			return a.value, a.err
		case <-timer.C:
		}
	}
	select {
	case a := <-answers: // it came at the same moment
		return a.value, a.err
	default:
		return none, op.failed(abandoned(ctx.Err(), op.write))
	}
}

// acquire takes a connection from the pool. Its errors mean that nothing was
// sent.
func (t *table) acquire(ctx context.Context, timeout time.Duration) (*pgxpool.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := t.pool.Acquire(bounded)
	if ended := ctx.Err(); ended != nil {
		if err == nil {
			conn.Release()
		}
		return nil, ended
	}
	if err != nil {
		return nil, notConnected(err)
	}
	return conn, nil
}
