package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
)

// operation describes a call, for its errors and its queue.
type operation struct {
	name  string
	key   storage.Key
	write bool
	step  bool                 // a write that expects no revision, and is made again if the server rolls it back
	keys  func() []storage.Key // of a write of many
}

// all returns the keys of a write.
func (op operation) all() []storage.Key {
	if op.keys != nil {
		return op.keys()
	}
	if op.key.ExternalID == "" { // a write of the log
		return nil
	}
	return []storage.Key{op.key}
}

func (op operation) failed(err error) error {
	return &storage.OpError{Op: op.name, Key: op.key, Err: err}
}

// A read or a step that fails with a serialization error is tried again, at once and then
// after random pauses of up to maxReadPause, so that it gets through where others
// write all the time: some 0.2 s in all.
const (
	maxReads     = 25
	maxReadPause = 20 * time.Millisecond
)

// maxResends is how often a statement is sent again on another connection. One that
// was idle is looked at before it is used, so more than once is rare.
const maxResends = 3

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
// but values that nothing changes.
func do[T any](
	ctx context.Context, s *Store, op operation, statement func(context.Context, *pgx.Conn) (T, error),
) (T, error) {
	var none T
	if err := s.begin(); err != nil {
		return none, err
	}
	timeout := s.opts.ReadTimeout
	if op.write {
		timeout = s.opts.WriteTimeout
	}
	conn, leave, err := s.enter(ctx, op, timeout)
	if err != nil {
		s.calls.Done()
		return none, op.failed(err)
	}
	type answer struct {
		value T
		err   error
	}
	run := func() answer {
		defer s.calls.Done()
		defer func() {
			if conn != nil {
				conn.Release()
			}
			leave()
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		again := !op.write || op.step
		for attempt, resends := 1, 0; ; attempt++ {
			value, err := statement(ctx, conn.Conn())
			switch {
			case err == nil:
				return answer{value: value}
			case resends < maxResends && mayResend(err, op.write) && ctx.Err() == nil:
				resends++
				conn.Release()
				if conn, err = s.connect(ctx); err != nil {
					return answer{err: op.failed(notConnected(s.pool, err))}
				}
			case again && attempt < maxReads && collided(err):
				if attempt > 1 {
					time.Sleep(rand.N(maxReadPause))
				}
			default:
				return answer{err: op.failed(classify(err, op.write && !(again && collided(err))))}
			}
		}
	}
	if ctx.Done() == nil {
		a := run()
		return a.value, a.err
	}
	answers := make(chan answer, 1)
	s.start(func() { answers <- run() })
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
		if op.write {
			returned := s.left.add(op.all())
			go func() {
				<-answers
				returned()
			}()
		}
		return none, op.failed(abandoned(ctx.Err(), op.write))
	}
}

// start runs a call on a goroutine: one that an earlier call has left idle, if there is
// one. Its stack has grown for the driver by then, which takes a new one some 15 us.
func (s *Store) start(call func()) {
	select {
	case s.idle <- call:
	default:
		go s.serve(call)
	}
}

// serve runs a call, and further ones until the store is closed.
func (s *Store) serve(call func()) {
	for {
		call()
		select {
		case call = <-s.idle:
		case <-s.closing.Done():
			return
		}
	}
}

// enter waits for a connection, and for a write first for its turn: while a statement
// runs that its caller has left, other writes of its keys wait, and all writes
// together leave a connection for reads. So clients that give up and come again,
// while a row is locked by another session, take no further connections, and reads
// go on. leave is to be called when the statement has ended.
//
// Its errors mean that nothing was sent.
func (s *Store) enter(
	ctx context.Context, op operation, timeout time.Duration,
) (conn *pgxpool.Conn, leave func(), err error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	leave = func() {}
	if op.write {
		leave, err = s.queue(bounded, op)
	}
	if err == nil {
		if conn, err = s.connect(bounded); err == nil && ctx.Err() == nil {
			return conn, leave, nil
		}
		leave()
		if conn != nil {
			conn.Release()
		}
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.closing.Err() != nil:
		err = storage.ErrClosed
	default:
		err = notConnected(s.pool, err)
	}
	return nil, nil, err
}

// queue waits for a write's turn.
func (s *Store) queue(ctx context.Context, op operation) (leave func(), err error) {
	if !s.left.wait(ctx, op) {
		return nil, &failure{storage.ErrUnavailable, "another write of the record did not end within the timeout", nil}
	}
	select {
	case s.writing <- struct{}{}:
		return func() { <-s.writing }, nil
	case <-ctx.Done():
		return nil, &failure{storage.ErrUnavailable, "other writes did not end within the timeout", nil}
	}
}

// leftKeys are the keys of write statements that run on without their callers.
//
// It is not a lock: writes that compete for a key, each with the record that it has read, had
// better not queue for it. The one that has just won would be the first with a
// fresh read again, and the others would lose for ever.
type leftKeys struct {
	mu   sync.Mutex
	keys map[storage.Key]*leftKey
}

type leftKey struct {
	statements int
	ended      chan struct{} // closed when there are none
}

// add adds the keys of a statement; returned is to be called when it has ended.
func (l *leftKeys) add(keys []storage.Key) (returned func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		if l.keys[key] == nil {
			l.keys[key] = &leftKey{ended: make(chan struct{})}
		}
		l.keys[key].statements++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, key := range keys {
			k := l.keys[key]
			if k.statements--; k.statements == 0 {
				delete(l.keys, key)
				close(k.ended)
			}
		}
	}
}

// wait waits until no statement has a key of the write, and reports whether that came
// before the end of ctx.
func (l *leftKeys) wait(ctx context.Context, op operation) bool {
	for {
		first := l.first(op)
		if first == nil {
			return true
		}
		select {
		case <-first.ended:
		case <-ctx.Done():
			return false
		}
	}
}

// first returns one of the keys of a write that is there, or nil.
func (l *leftKeys) first(op operation) *leftKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.keys) == 0 {
		return nil
	}
	for _, key := range op.all() {
		if k := l.keys[key]; k != nil {
			return k
		}
	}
	return nil
}

// connect takes a connection from the pool that is not known to be dead: one that
// the server closed while it was idle still accepts bytes, and the outcome of a write
// would be unknown.
func (s *Store) connect(ctx context.Context) (*pgxpool.Conn, error) {
	for range s.conns + 1 {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		if quiet(conn.Conn().PgConn().Conn()) || conn.Ping(ctx) == nil {
			if err := unfit(conn.Conn(), s.mode); err != nil {
				conn.Release()
				return nil, err
			}
			return conn, nil
		}
		conn.Release() // the pool makes a new one in its place
	}
	return nil, errors.New("each connection was closed by the server")
}
