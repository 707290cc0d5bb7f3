//go:build failover

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestFailoverSynchronous: with a synchronous standby, what was acknowledged
// survives the loss of the primary.
func TestFailoverSynchronous(t *testing.T) {
	lost, acknowledged := failover(t, "ANY 1 (standby1, standby2)")
	require.Empty(t, lost, "acknowledged changes that are gone, of %d", acknowledged)
}

// TestFailoverAsynchronous shows that the test above can fail: by the same
// procedure, asynchronous standbys lose what was acknowledged last.
func TestFailoverAsynchronous(t *testing.T) {
	lost, acknowledged := failover(t, "")
	require.NotEmpty(t, lost, "%d acknowledged changes all survived", acknowledged)
}

// failover has writers add fields while the network between the primary and its
// standbys stops, the primary dies, and a standby takes over. It returns the
// acknowledged fields that are not there in the end.
func failover(t *testing.T, synchronous string) (lost []string, acknowledged int) {
	const writers, keys = 8, 4
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	// The standbys connect by their own names, so the primary first runs alone.
	primary := pgtest.Start(t, pgtest.Config{Settings: map[string]string{"wal_level": "replica", "max_wal_senders": "10"}})
	link := newLink(t, primary.Addr())
	var standbys []*pgtest.Server
	for _, name := range []string{"standby1", "standby2"} {
		standbys = append(standbys, pgtest.Start(t, pgtest.Config{Primary: primary, PrimaryAddr: link.addr(), Name: name}))
	}
	admin := newPool(t, primary.DSN())
	_, err := admin.Exec(ctx, "ALTER SYSTEM SET synchronous_standby_names = "+"'"+synchronous+"'")
	require.NoError(t, err)
	_, err = admin.Exec(ctx, "SELECT pg_reload_conf()")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var streaming, candidates int
		err := admin.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE sync_state = 'quorum') FROM pg_stat_replication WHERE state = 'streaming'").Scan(&streaming, &candidates)
		return err == nil && streaming == 2 && (candidates == 2 || synchronous == "")
	}, 30*time.Second, 20*time.Millisecond, "two standbys")

	cfg, err := pgxpool.ParseConfig(pgtest.MultiDSN(primary, standbys[0], standbys[1]))
	require.NoError(t, err)
	cfg.MaxConns = writers
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, postgres.Migrate(ctx, pool, nil))
	store, err := postgres.New(ctx, pool, nil)
	require.NoError(t, err)
	defer store.Close()

	var stop atomic.Bool
	var total atomic.Int64
	fields := make([][]string, writers) // the acknowledged ones
	var load sync.WaitGroup
	key := func(w int) storage.Key { return testKey(fmt.Sprint("key-", w%keys)) }
	for w := range writers {
		load.Go(func() {
			for n := 0; !stop.Load() && ctx.Err() == nil; n++ {
				field := fmt.Sprintf("%d-%d\n", w, n)
				_, err := storage.Update(ctx, store, key(w), func(old storage.Record) (storage.Record, error) {
					return storage.Record{Data: append(append([]byte(nil), old.Data...), field...)}, nil
				})
				switch {
				case err == nil:
					fields[w] = append(fields[w], field)
					total.Add(1)
				case errors.Is(err, storage.ErrUnknownOutcome), errors.Is(err, storage.ErrUnavailable), errors.Is(err, storage.ErrConflict):
					time.Sleep(10 * time.Millisecond) // the next field may do better
				case ctx.Err() == nil:
					t.Errorf("update: %v", err)
					return
				}
			}
		})
	}
	reached := func(n int64) {
		require.Eventually(t, func() bool { return total.Load() >= n }, time.Minute, 5*time.Millisecond, "%d acknowledged changes", n)
	}
	reached(200)
	link.freeze()
	time.Sleep(300 * time.Millisecond)
	primary.Kill(t)
	link.cut()

	chosen, most := standbys[0], ""
	for _, s := range standbys {
		var received string
		err := newPool(t, s.DSN()).QueryRow(ctx, "SELECT lpad(to_hex((pg_last_wal_receive_lsn() - '0/0')::bigint), 16, '0')").Scan(&received)
		require.NoError(t, err)
		if received > most {
			chosen, most = s, received
		}
	}
	chosen.Promote(t)
	reached(total.Load() + 100)
	stop.Store(true)
	load.Wait()

	for w, acked := range fields {
		rec, err := store.Get(ctx, key(w))
		require.NoError(t, err)
		for _, field := range acked {
			acknowledged++
			if !strings.Contains("\n"+string(rec.Data), "\n"+field) {
				lost = append(lost, field)
			}
		}
	}
	t.Logf("%d changes acknowledged, %d of them lost", acknowledged, len(lost))
	return lost, acknowledged
}

// link forwards connections to a server until it is frozen: then nothing gets
// through in either direction, and no connection breaks until it is cut.
type link struct {
	listener net.Listener
	target   string
	frozen   chan struct{}
	mu       sync.Mutex
	isCut    bool
	conns    []net.Conn
}

func newLink(t *testing.T, target string) *link {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	k := &link{listener: l, target: target, frozen: make(chan struct{})}
	t.Cleanup(k.cut)
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", k.target)
			if err != nil {
				_ = from.Close()
				continue
			}
			if k.keep(from, to) {
				go k.forward(from, to)
				go k.forward(to, from)
			}
		}
	}()
	return k
}

func (k *link) addr() string { return k.listener.Addr().String() }

func (k *link) freeze() { close(k.frozen) }

// keep reports whether connections may still be made; cut closes them.
func (k *link) keep(conns ...net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns = append(k.conns, conns...)
	if k.isCut {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	return !k.isCut
}

func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.isCut = true
	_ = k.listener.Close()
	for _, c := range k.conns {
		_ = c.Close()
	}
}

func (k *link) forward(from io.Reader, to io.WriteCloser) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-k.frozen:
			return // and leave both open
		default:
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			_ = to.Close()
			return
		}
	}
}
