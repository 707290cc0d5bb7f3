package scenarios_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres/pgtest"
)

var (
	changesSize  = flag.Int("changes", 20000, "how many changes TestNoChangeIsMissed makes")
	changesKills = flag.Int("kills", 8, "how many kills and pauses there are meanwhile")
	importedSize = flag.Int("imported", 2000, "how many resources TestImportIsConsumed imports")
)

// TestNoChangeIsMissed: processes write, others consume, and all are killed at random, the
// database too, or stopped for longer than their lease; from halfway on the log is trimmed
// all the time. Each consumer gets every change, those of a resource in their order, and a
// replica that is made of the events equals the store.
func TestNoChangeIsMissed(t *testing.T) {
	for _, p := range durablePlaces {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			where, crash := p.make(t)
			killAtRandom(t, p.name+" "+where, crash)
		})
	}
}

// durablePlaces have databases that can crash, each a server of its own or no server.
var durablePlaces = []struct {
	name string
	make func(*testing.T) (where string, crash func())
}{
	{"sqlite", func(t *testing.T) (string, func()) {
		return filepath.Join(t.TempDir(), "records.db"), nil
	}},
	{"postgres", func(t *testing.T) (string, func()) {
		// What a killed server has given to the system survives, so nothing waits for the disk.
		server := pgtest.Start(t, pgtest.Config{Settings: map[string]string{"fsync": "off"}})
		return "resources " + server.DSN(), func() { server.Crash(t) }
	}},
}

// The tenants whose resources change.
var populace = []storage.Tenant{everybody, storage.TenantOf("scenarios", "others"), storage.TenantOf("others", "everybody")}

// The consumers, each of two processes: one makes its replica of documents, the other of
// patches. The names are those of their files, too.
var replicas = []string{"documents", "patches"}

func killAtRandom(t *testing.T, where string, crash func()) {
	const (
		numWriters  = 3
		lease       = 2 * time.Second
		concurrency = 4 // of a consumer
	)
	store, err := openIn(ctx, where)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	dir := t.TempDir()
	total := 0
	acknowledged := func() (n int) {
		for w := range numWriters {
			if info, err := os.Stat(acksOf(dir, w)); err == nil {
				n += int(info.Size() / ackSize)
			}
		}
		return n
	}
	var writers, consumers []*child
	start := func(kind, n int) *child {
		if kind == 0 {
			return startChild(t, "write", where, dir, strconv.Itoa(n), strconv.Itoa(*changesSize/numWriters))
		}
		return startChild(t, "consume", where, filepath.Join(dir, replicas[n%2]), replicas[n%2], lease.String(), "0")
	}
	for n := range numWriters {
		writers = append(writers, start(0, n))
	}
	for n := range 2 * len(replicas) {
		consumers = append(consumers, start(1, n))
	}
	again := func(kind int, of []*child, n int) {
		of[n].kill()
		of[n] = start(kind, n)
	}
	// anOwner returns the number of a process that owns a consumer, of any if there is none.
	anOwner := func() int {
		all, err := changes.Consumers(ctx, store)
		if err == nil && len(all) > 0 {
			owner := processOf(all[rand.IntN(len(all))])
			if n := slices.IndexFunc(consumers, func(c *child) bool { return c.pid() == owner }); n >= 0 {
				return n
			}
		}
		return rand.IntN(len(consumers))
	}
	begin := time.Now()
	var (
		killed   [4]int
		pauses   sync.WaitGroup
		trimming sync.WaitGroup
		trims    atomic.Int64
		stopped  = make(chan struct{})
	)
	stop := sync.OnceFunc(func() { close(stopped); trimming.Wait() })
	defer stop()
	trim := sync.OnceFunc(func() {
		trimming.Go(func() {
			for {
				_, err := changes.Trim(ctx, store, time.Now())
				if err == nil {
					trims.Add(1)
				} else if !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrUnknownOutcome) {
					t.Error(err)
				}
				select {
				case <-stopped:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	})
	for kill, end := 0, false; !end; time.Sleep(10 * time.Millisecond) {
		for _, c := range append(writers, consumers...) {
			c.check()
		}
		if total = acknowledged(); total > *changesSize/2 {
			trim()
		}
		if kill < *changesKills && total > (kill+1)**changesSize/(*changesKills+1) {
			kind := kill % 4
			switch {
			case kind == 3:
				c := consumers[anOwner()]
				_ = c.cmd.Process.Signal(syscall.SIGSTOP)
				pauses.Go(func() {
					time.Sleep(lease * 5 / 4)
					_ = c.cmd.Process.Signal(syscall.SIGCONT)
				})
			case kind == 0:
				again(0, writers, rand.IntN(len(writers)))
			case kind == 1:
				again(1, consumers, anOwner())
			case crash != nil:
				crash()
			default: // a database that is the processes which have it open
				for n := range writers {
					writers[n].kill()
				}
				for n := range consumers {
					again(1, consumers, n)
				}
				for n := range writers {
					writers[n] = start(0, n)
				}
			}
			killed[kind]++
			kill++
		}
		end = true
		for _, c := range writers {
			select {
			case <-c.ended:
			default:
				end = false
			}
		}
	}
	wrote := time.Since(begin)
	for _, c := range writers {
		c.wait()
	}
	waitForConsumers(t, store, len(replicas))
	consumed := time.Since(begin)
	stop()
	pauses.Wait()
	for _, c := range consumers {
		c.stop()
	}
	lives := 0
	for _, name := range replicas {
		r := readReplica(t, filepath.Join(dir, name))
		r.compare(t, store)
		for w := range numWriters {
			r.checkAcks(t, acksOf(dir, w))
		}
		if lives == 0 {
			lives = len(r.lives)
		}
		assert.LessOrEqual(t, r.refused, killed[3]*concurrency, "late calls of paused owners")
		assert.Len(t, r.lives, lives, "resources that this consumer has heard of, and the other one")
		t.Logf("%s: %d events, %d changes, %d resources; %d redelivered, %d refused by their fence, %d owners",
			name, r.events, r.changes, len(r.lives), r.again, r.refused, r.owners)
	}
	t.Logf("%d changes acknowledged in %v, consumed after %v; killed: %d writers, %d consumers, %d databases; %d paused; trimmed %d times",
		total, wrote.Round(time.Millisecond), consumed.Round(time.Millisecond), killed[0], killed[1], killed[2], killed[3], trims.Load())
}

// waitForConsumers waits until so many consumers have had everything.
func waitForConsumers(t *testing.T, store storage.Store, count int) {
	t.Helper()
	var all []changes.Consumer
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var err error
		all, err = changes.Consumers(ctx, store)
		idle := err == nil && len(all) == count
		for _, c := range all {
			idle = idle && !c.Expired && c.Lag == 0 && len(c.Parked) == 0
		}
		if idle {
			return
		}
		require.Less(t, time.Since(begin), 5*time.Minute, "consumers do not come to an end: %+v %v", all, err)
	}
}

// An acknowledged change is one line of a fixed size: the ID of the resource and its
// revision, 0 if it was deleted.
const ackSize = 36 + 1 + 20 + 1

func acksOf(dir string, writer int) string { return filepath.Join(dir, fmt.Sprint("acks-", writer)) }

// writeRole makes changes of every kind to resources that other writers change, too, and
// notes which were acknowledged: as many as it is told, those of earlier lives included.
func writeRole(ctx context.Context, args []string) error {
	where, dir := args[0], args[1]
	number, _ := strconv.Atoi(args[2])
	quota, _ := strconv.Atoi(args[3])
	store, err := openIn(ctx, where)
	if err != nil {
		return err
	}
	c, err := resource.NewCollection(people, store, &resource.Options{Log: true, History: true})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(acksOf(dir, number), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	keys := max(100, quota/50)
	var acks []byte
	done := int(info.Size() / ackSize)
	note := func(result *resource.Result, err error) error {
		switch {
		case err == nil && result.Outcome == resource.Deleted:
			acks = fmt.Appendf(acks, "%s %020d\n", result.ID(), 0)
			done++
		case err == nil && result.Outcome != resource.Unchanged:
			acks = fmt.Appendf(acks, "%s %020d\n", result.ID(), result.Revision())
			done++
		case err == nil, errors.Is(err, resource.ErrNotFound), errors.Is(err, storage.ErrConflict):
		case errors.Is(err, storage.ErrUnavailable), errors.Is(err, storage.ErrUnknownOutcome):
			time.Sleep(20 * time.Millisecond)
		default:
			return err
		}
		return nil
	}
	for n := 0; done < quota && ctx.Err() == nil; n++ {
		tenant := populace[rand.IntN(len(populace))]
		opts := &resource.WriteOptions{Actor: fmt.Sprint("writer-", number), Reason: fmt.Sprint("reason-", n)}
		id := func() string { return fmt.Sprintf("p%05d", rand.IntN(keys)) }
		document := func(id string) []byte {
			return fmt.Appendf(nil, `{"id":"%s","email":"%s@x.org","age":%d,"note":"%d-%d"}`, id, id, n%100, number, n)
		}
		var err error
		var items []resource.ItemResult
		switch n % 16 {
		case 0:
			err = note(c.Delete(ctx, tenant, id(), opts))
		case 1, 2:
			err = note(c.Patch(ctx, tenant, id(), fmt.Appendf(nil, `{"age":null,"note":"%d-%d"}`, number, n), opts))
		case 3:
			var documents [][]byte
			for range 20 {
				documents = append(documents, document(id()))
			}
			items, err = c.CreateBatch(ctx, tenant, documents, opts)
		case 4:
			var patches []resource.Item
			for range 20 {
				patches = append(patches, resource.Item{ExternalID: id(), Data: fmt.Appendf(nil, `{"note":"%d-%d"}`, number, n)})
			}
			items, err = c.PatchBatch(ctx, tenant, patches, opts)
		case 5:
			var gone []resource.Item
			for range 3 {
				gone = append(gone, resource.Item{ExternalID: id()})
			}
			items, err = c.DeleteBatch(ctx, tenant, gone, opts)
		case 6:
			if n%64 == 6 {
				if _, err = c.Erase(ctx, tenant, id(), opts); err != nil {
					err = note(nil, err)
				}
			}
		default:
			err = note(c.Create(ctx, tenant, document(id()), opts))
		}
		if items == nil && err != nil {
			err = note(nil, err)
		}
		for _, item := range items {
			err = errors.Join(err, note(item.Result, item.Err))
		}
		if err != nil {
			return err
		}
		if len(acks) > 0 {
			if _, err := file.Write(acks); err != nil {
				return err
			}
			acks = acks[:0]
		}
	}
	return store.Close()
}

// consumeRole consumes all people into a file, one line for each event: the fence and the
// event. Its arguments are the place, the file, the name of the consumer, the lease, and
// for how long the handler works. Without work, the handler fails now and then.
func consumeRole(ctx context.Context, args []string) error {
	lease, err1 := time.ParseDuration(args[3])
	work, err2 := time.ParseDuration(args[4])
	store, err := openIn(ctx, args[0])
	if err := errors.Join(err, err1, err2); err != nil {
		return err
	}
	c, err := resource.NewCollection(people, store, &resource.Options{Log: true, History: true})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(args[1], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	name := args[2]
	opts := &changes.Options{
		Collections: []*resource.Collection{c}, Documents: name != "patches", Patches: name == "patches", Unredacted: true,
		Lease: lease, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, MaxAttempts: 1000, MaxParked: 1000,
	}
	if work == 0 {
		opts.Concurrency = 4
	}
	err = changes.Consume(ctx, store, name, func(ctx context.Context, e changes.Event) error {
		if work > 0 {
			time.Sleep(work)
		} else if rand.IntN(300) == 0 {
			return errors.New("a fault")
		} else if rand.IntN(3000) == 0 {
			panic("a fault")
		}
		line := e.AppendJSON(fmt.Appendf(nil, "%d ", e.Fence))
		_, err := file.Write(append(line, '\n'))
		return err
	}, opts)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return store.Close()
	}
	return fmt.Errorf("the consumer ended: %w", err)
}

// eventJSON is what these tests read of an event's JSON.
type eventJSON struct {
	ID               uuid.UUID
	Outcome          resource.Outcome
	PlatformID       uuid.UUID
	BusinessID       uuid.UUID
	ExternalID       string           `json:"resourceExternalId"`
	PreviousRevision storage.Revision `json:",string"`
	Revision         storage.Revision `json:",string"`
	Document, Patch  json.RawMessage
}

// A replica is what a receiver makes of events, and what it finds wrong with them.
type replica struct {
	lives         map[uuid.UUID]*life
	current       map[storage.Key]*life
	fence         uint64
	events, again int
	changes       int
	owners        int
	refused       int
	before        []*life // those that were not over when another one began
}

// A life is that of a resource from its creation to its end.
type life struct {
	id        uuid.UUID
	key       storage.Key
	revisions map[storage.Revision]int // of its changes, with their place
	last      storage.Revision
	document  []byte
	at        int    // the place of the latest event
	fence     uint64 // of that
	over      bool   // deleted or erased
	erased    bool
	wrong     []string
}

func newReplica() *replica {
	return &replica{lives: make(map[uuid.UUID]*life), current: make(map[storage.Key]*life)}
}

func readReplica(t *testing.T, name string) *replica {
	t.Helper()
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	r := newReplica()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fence, event, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		var e eventJSON
		require.NoError(t, json.Unmarshal(event, &e), "%s", event)
		number, err := strconv.ParseUint(string(fence), 10, 64)
		require.NoError(t, err)
		r.apply(number, e)
	}
	require.NoError(t, lines.Err())
	return r
}

// apply takes one event, as a receiver should: it refuses those of an owner that has been
// replaced.
func (r *replica) apply(fence uint64, e eventJSON) {
	r.events++
	if fence < r.fence {
		r.refused++
		return
	}
	if fence > r.fence {
		r.fence = fence
		r.owners++
	}
	key := storage.Key{Tenant: storage.Tenant{Platform: e.PlatformID, Business: e.BusinessID}, ExternalID: e.ExternalID}
	l := r.lives[e.ID]
	if l == nil {
		l = &life{id: e.ID, key: key, revisions: make(map[storage.Revision]int)}
		r.lives[e.ID] = l
	}
	note := func(what string) {
		if len(l.wrong) < 10 {
			l.wrong = append(l.wrong, fmt.Sprintf("event %d, %s of %s at %d: %s", r.events, e.Outcome, e.ID, e.Revision, what))
		}
	}
	if e.Outcome == resource.Erased {
		l.over, l.erased, l.document = true, true, nil
		return
	}
	if l.erased {
		// Changes that were read before they were redacted may come after others that were
		// read later. The last event of all is an erasure.
		l.over = false
		return
	}
	place, known := l.revisions[e.Revision]
	if !known {
		place = len(l.revisions) + 1
	}
	switch {
	case fence == l.fence && place > l.at+1:
		note(fmt.Sprintf("change %d comes after change %d", place, l.at))
	case known:
		r.again++
	case e.PreviousRevision != l.last:
		note(fmt.Sprintf("it follows %d, but %d comes before it", e.PreviousRevision, l.last))
	case l.over:
		note("it is over")
	case (e.PreviousRevision == 0) != (e.Outcome == resource.Created):
		note("the outcome is wrong")
	}
	l.at, l.fence = place, fence
	if known {
		return
	}
	if before := r.current[key]; before != nil && before != l && !before.over {
		r.before = append(r.before, before)
	}
	r.current[key] = l
	r.changes++
	l.revisions[e.Revision], l.last = place, e.Revision
	switch {
	case e.Outcome == resource.Deleted:
		l.over, l.document = true, nil
	case e.Patch != nil:
		before := l.document
		if before == nil {
			before = []byte("{}")
		}
		var err error
		if l.document, err = merge.Patch(before, e.Patch); err != nil {
			note(err.Error())
		}
	default:
		l.document = bytes.Clone(e.Document)
	}
}

// compare expects that nothing was wrong, and that the replica is what the store has.
func (r *replica) compare(t *testing.T, store storage.Store) {
	t.Helper()
	for _, l := range r.lives {
		assert.Empty(t, l.wrong)
	}
	for _, l := range r.before {
		// What is erased has no external id in the log, and so no order with the next one.
		assert.True(t, l.erased, "%s was not over when another one of its external id began", l.id)
	}
	living := 0
	for _, l := range r.lives {
		if !l.over {
			living++
		}
	}
	stored := 0
	for _, tenant := range populace {
		for _, rec := range records(t, store, tenant, people) {
			stored++
			l := r.lives[rec.ID]
			require.NotNil(t, l, "a resource without an event")
			require.False(t, l.over, "a resource is stored that the events have deleted; erased: %t", l.erased)
			require.Equal(t, rec.Revision, l.last, "the latest change of a resource was missed")
			require.True(t, merge.Equal(l.document, rec.Data), "%s is not %s", l.document, rec.Data)
		}
	}
	assert.Equal(t, stored, living, "resources in the replica")
}

// checkAcks expects an event for each acknowledged change.
func (r *replica) checkAcks(t *testing.T, name string) {
	t.Helper()
	acks, err := os.ReadFile(name)
	require.NoError(t, err)
	missed := 0
	for len(acks) >= ackSize {
		id, err := uuid.ParseBytes(acks[:36])
		require.NoError(t, err)
		revision, err := strconv.ParseUint(string(acks[37:ackSize-1]), 10, 64)
		require.NoError(t, err)
		acks = acks[ackSize:]
		l := r.lives[id]
		seen := l != nil && l.over
		if seen && !l.erased && revision != 0 || l != nil && revision != 0 && !l.erased {
			_, seen = l.revisions[storage.Revision(revision)]
		}
		if !seen {
			missed++
		}
	}
	assert.Zero(t, missed, "acknowledged changes of which a consumer has had no event")
}

// checkChain reads the log as one that reads it once in its order.
func checkChain(t *testing.T, store storage.Store) *replica {
	t.Helper()
	r := newReplica()
	for q := (storage.ChangeQuery{Limit: storage.MaxPage}); ; {
		page, err := store.Changes(ctx, q)
		require.NoError(t, err)
		for _, c := range page.Changes {
			change := resource.MakeChange(people, c, &resource.ChangeOptions{Documents: true, Unredacted: true})
			r.apply(1, eventJSON{
				ID: change.ID, Outcome: change.Outcome, PlatformID: change.Key.Tenant.Platform, BusinessID: change.Key.Tenant.Business,
				ExternalID: change.Key.ExternalID, PreviousRevision: change.Before, Revision: change.Revision, Document: change.Document,
			})
		}
		if q.After = page.Next; !page.More && page.Held == 0 {
			break
		}
	}
	r.compare(t, store)
	assert.Zero(t, r.again, "a change is in the log twice")
	return r
}
