package storagetest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var durableCases = []testCase{
	{"durable/reopen", "Every acknowledged record is there after Close and Open, byte for byte and with its revision.", caseReopen},
	{"durable/kill", "Every acknowledged record is there after the process was killed, byte for byte, and no write is there in part. No change is redacted without one after it that Redact added.", caseKill},
}

func caseReopen(e *env) {
	place := e.newPlace()
	store := e.openAt(place)
	want := make(map[storage.Key]storage.Record)
	for name, data := range verbatimData() {
		rec := record(testKey(name), "")
		rec.Data = data
		want[rec.Key] = e.mustPut(store, rec, 0)
	}
	for i, scope := range confusableScopes() {
		rec := e.mustPut(store, record(keyIn(scope, "updated"), "first"), 0)
		rec.Data = []byte(dataOf(i, "updated"))
		want[rec.Key] = e.mustPut(store, rec, rec.Revision)
		e.mustDelete(store, e.mustPut(store, record(keyIn(scope, "deleted"), "x"), 0))
	}
	var batch []storage.Record
	for _, id := range nastyIDs {
		batch = append(batch, record(testKey("batch "+id), id))
	}
	for _, rec := range e.mustPutAll(store, batch) {
		want[rec.Key] = rec
	}
	for range 2 {
		require.NoError(e, store.Close())
		store = e.openAt(place)
		listed := make(map[storage.Key]storage.Record)
		for _, scope := range append(confusableScopes(), testScope) {
			for _, rec := range e.walk(store, scope, storage.Range{Limit: 50}) {
				listed[rec.Key] = rec
			}
		}
		require.Len(e, listed, len(want), "records after Close and Open")
		for key, rec := range want {
			e.same(rec, listed[key])
			got, err := store.Get(context.Background(), key)
			require.NoError(e, err)
			e.same(rec, got)
		}
		for _, scope := range confusableScopes() {
			e.absent(store, keyIn(scope, "deleted"))
		}
	}
	// And it can be written to.
	for _, rec := range want {
		rec.Data = []byte("after")
		e.holds(store, e.mustPut(store, rec, rec.Revision))
		break
	}
}

// childEnv tells a child process the round, the place that it writes to and the cursor that
// it reads from, in childFormat. childLine begins the lines in which the child says which
// steps were acknowledged, childRead those in which it says which changes it got.
const (
	childEnv    = "RESOURCEKIT_STORAGETEST_CHILD"
	childFormat = "%d %q %d %d"
	childLine   = "storagetest: acknowledged "
	childRead   = "storagetest: got change "
)

// The writers of a child process. Each has keys of its own, and so has one more, which
// redacts what it has written.
const (
	killWriters = 4
	killKeys    = 3
	killBatch   = 5
	killRounds  = 4
	killStart   = 60 * time.Second // until the child has begun
)

// killStep is the next step of a writer: it puts these records, or deletes the one
// without data.
type killStep []storage.Record

// stepOf returns step n of a writer. It depends on nothing else, so parent and child
// agree on it. Every key is written many times; a delete comes after a put of the same
// key.
func stepOf(round, writer, n int) killStep {
	key := func(i int) storage.Key { return testKey(fmt.Sprintf("kill-%d-%d-%d", round, writer, i)) }
	rec := func(i int) storage.Record {
		// Every other one is small, the rest of all sizes, so that some need
		// several pages of a file.
		data := strings.Repeat(fmt.Sprintf("%d.%d.%d.%d\x00\xff|", round, writer, n, i), 1+n%2*(n*n%701))
		return record(key(i), data)
	}
	switch n % 8 {
	case 7:
		var batch killStep
		for i := range killBatch {
			batch = append(batch, rec(killKeys+i))
		}
		return batch
	case 5: // the key of step n-3
		return killStep{{Key: key((n - 3) % killKeys)}}
	}
	return killStep{rec(n % killKeys)}
}

// killEntries are what a record of a step is found by. They tell the step.
func killEntries(rec storage.Record) []storage.Entry {
	tag, _, ok := bytes.Cut(rec.Data, []byte("|"))
	if !ok {
		return nil // of a delete
	}
	return storage.SortEntries([]storage.Entry{
		{Index: 1, Value: []byte(rec.Key.ExternalID)}, {Index: 1, Value: tag}, {Index: 2, Value: tag, Unique: true},
	})
}

// writeIfChild writes to the place that the parent has named, and reads its log, until the
// process is killed. In the parent it does nothing.
func writeIfChild(t *testing.T, d Durable) {
	place, round, from := "", 0, storage.Cursor{}
	if n, _ := fmt.Sscanf(os.Getenv(childEnv), childFormat, &round, &place, &from.Position, &from.Revision); n != 4 {
		return
	}
	store, err := d.Open(context.Background(), place)
	if err != nil {
		t.Fatal(err)
	}
	err = inParallel(killWriters+2, func(w int) error {
		if w == killWriters+1 {
			return readLog(store, from)
		}
		revisions := make(map[storage.Key]storage.Revision)
		for n := 0; ; n++ {
			if w == killWriters {
				err = redactStep(store, round, n)
			} else {
				err = doStep(store, stepOf(round, w, n), killReason(round, w, n), revisions)
			}
			if err != nil {
				return err
			}
			// One write of one line: lines of several writers do not mix.
			if _, err := fmt.Printf("%s%d %d\n", childLine, w, n); err != nil {
				return err
			}
		}
	})
	t.Fatal("the child process was not killed: ", err)
}

// readLog follows the log, and says which changes it got.
func readLog(store storage.Store, from storage.Cursor) error {
	if store.Limits().NoLog {
		return nil
	}
	r := &logReader{store: store, q: storage.ChangeQuery{Scope: testScope, After: from, Limit: 20}}
	for {
		if more, err := r.next(); err != nil {
			return err
		} else if !more {
			time.Sleep(time.Millisecond)
		}
		for _, c := range r.changes {
			if _, err := fmt.Printf("%s%d %d\n", childRead, c.Cursor.Position, c.Cursor.Revision); err != nil {
				return err
			}
		}
		r.changes = nil
	}
}

func killReason(round, writer, n int) string { return fmt.Sprintf("step %d %d %d", round, writer, n) }

// doStep makes a step, and notes the new revisions. Records have entries, and changes are
// logged with the reason, if the store keeps them.
func doStep(store storage.Store, step killStep, reason string, revisions map[storage.Key]storage.Revision) error {
	var writes []storage.Write
	limits := store.Limits()
	for _, rec := range step {
		w := putOf(rec, revisions[rec.Key])
		w.Delete = rec.Data == nil
		if !limits.NoEntries {
			w.Entries = killEntries(rec)
		}
		if !limits.NoLog {
			w.Note = &storage.Note{Time: testTime, Reason: reason, After: rec.Data}
		}
		writes = append(writes, w)
	}
	if err := writeMany(store, writes...); err != nil {
		return err
	}
	for _, w := range writes {
		if revisions[w.Record.Key] = w.Record.Revision; w.Delete {
			revisions[w.Record.Key] = 0
		}
	}
	return nil
}

// redactedKey is the key that step n of the redactor is about.
func redactedKey(round, n int) storage.Key {
	return keyIn(confusableScopes()[0], fmt.Sprintf("redacted-%d-%d", round, n))
}

// redactStep gives a key two lives, and redacts both.
func redactStep(store storage.Store, round, n int) error {
	s, key := make(shelf), redactedKey(round, n)
	if store.Limits().NoLog {
		select {}
	}
	for life := range byte(2) {
		for _, data := range []string{"created", "updated", ""} {
			w := s.next(key, data, nil)
			if w.Record.ID[0] = life; data == "" {
				w = s.gone(key)
			}
			w = noted(w, data, 0)
			if err := writeMany(store, w); err != nil {
				return err
			}
			s.take(w)
		}
	}
	return redact(context.Background(), store, key)
}

// checkRedacted fails unless the first n steps of the redactor are redacted, and the next
// one can be finished.
func (e *env) checkRedacted(store storage.Store, round, n int) {
	if store.Limits().NoLog {
		return
	}
	scope := redactedKey(0, 0).Scope()
	e.told(e.logged(store, storage.ChangeQuery{Scope: scope, Limit: storage.MaxPage}))
	require.NoError(e, redact(context.Background(), store, redactedKey(round, n)))
	last := make(map[uuid.UUID]int)
	for _, c := range e.logged(store, storage.ChangeQuery{Scope: scope, Limit: storage.MaxPage}) {
		for i := range n + 1 {
			require.NotEqual(e, redactedKey(round, i), c.Key, "key of a change that was redacted")
		}
		if added(c) {
			last[c.ID]++
			require.Equal(e, 1, last[c.ID], "changes that Redact added for one ID")
		}
	}
	require.GreaterOrEqual(e, len(last), 2*n, "IDs of redacted changes")
}

// caseKill kills a process that writes, several times at one place. Each time every write
// that was acknowledged to any of them must be there.
func caseKill(e *env) {
	place := e.newPlace()
	var done [killRounds][killWriters + 1]int // steps acknowledged
	var read []storage.Cursor                 // changes that readers got before they were killed
	for round := range killRounds {
		done[round], read = e.writeAndKill(place, round, read)
		store := e.openAt(place)
		e.steady(store, func(e *env, listed map[storage.Key]storage.Record) {
			for past := range round + 1 {
				for w := range killWriters {
					e.checkSteps(listed, past, w, done[past][w])
				}
			}
			e.checkIndexes(store, listed)
			e.checkLog(store, listed, done[:round+1], read)
			e.checkRedacted(store, round, done[round][killWriters])
		})
		// And it can be written to.
		rec := e.mustPut(store, record(testKey(fmt.Sprint("after-", round)), "x"), 0)
		e.holds(store, rec)
		require.NoError(e, store.Close())
	}
}

// steady makes a check of all records. A failure counts only if no record changed during
// the check: a server may go on with the last writes of a process that was killed.
func (e *env) steady(store storage.Store, check func(e *env, listed map[storage.Key]storage.Record)) {
	list := func() map[storage.Key]storage.Record {
		listed := make(map[storage.Key]storage.Record)
		for _, rec := range e.walk(store, testScope, storage.Range{Limit: 100}) {
			listed[rec.Key] = rec
		}
		return listed
	}
	for {
		listed := list()
		r := watch(testCase{contract: e.contract, run: func(e *env) { check(e, listed) }}, func(*env) {})
		if !r.failed() {
			return
		}
		if maps.EqualFunc(listed, list(), func(a, b storage.Record) bool { return a.Revision == b.Revision }) {
			e.tb.Errorf("%s", r.text())
			e.FailNow()
		}
	}
}

// checkSteps fails unless the records of a writer are as its first n steps left them, or
// as the next step would, which may have been on its way.
func (e *env) checkSteps(listed map[storage.Key]storage.Record, round, writer, n int) {
	want := make(map[storage.Key]storage.Record)
	for i := range n {
		for _, rec := range stepOf(round, writer, i) {
			want[rec.Key] = rec
		}
	}
	next := make(map[storage.Key]storage.Record)
	for _, rec := range stepOf(round, writer, n) {
		next[rec.Key] = rec
	}
	for i := range killKeys + killBatch {
		key := testKey(fmt.Sprintf("kill-%d-%d-%d", round, writer, i))
		got, there := listed[key]
		if after, ok := next[key]; ok && isLeft(after, got, there) || isLeft(want[key], got, there) {
			continue
		}
		e.fatalf("after %d steps and a kill, key %d of writer %d has %d bytes %.40q, want %d bytes %.40q",
			n, i, writer, len(got.Data), got.Data, len(want[key].Data), want[key].Data)
	}
}

// checkIndexes fails unless every record is found by the entries of the write that made it.
func (e *env) checkIndexes(store storage.Store, listed map[storage.Key]storage.Record) {
	if store.Limits().NoEntries {
		return
	}
	s := make(shelf)
	for key, rec := range listed {
		s[key] = shelved{rec, killEntries(rec)}
	}
	e.finds(store, s, 1, 2)
}

// checkLog fails unless the log has every write that is in the records, in order, every
// step that was acknowledged, and first of all what the readers got.
func (e *env) checkLog(
	store storage.Store, listed map[storage.Key]storage.Record, done [][killWriters + 1]int, read []storage.Cursor,
) {
	if store.Limits().NoLog {
		return
	}
	all := e.logged(store, storage.ChangeQuery{Scope: testScope, Limit: storage.MaxPage})
	stored := make(map[storage.Key]storage.Revision)
	for key, rec := range listed {
		if killEntries(rec) != nil { // else it was written by the parent
			stored[key] = rec.Revision
		}
	}
	require.Equal(e, stored, e.chains(all, nil), "revisions of the records, and by the log")
	require.GreaterOrEqual(e, len(all), len(read), "changes in the log, and those that readers got")
	for i, c := range read {
		require.Equal(e, all[i].Cursor, c, "change %d, as a reader got it", i)
	}
	changes := make(map[string]int)
	for _, c := range all {
		changes[c.Note.Reason]++
	}
	for round := range done {
		for w := range killWriters {
			for n := range done[round][w] {
				require.Equal(e, len(stepOf(round, w, n)), changes[killReason(round, w, n)], "changes in the log of step %d", n)
			}
		}
	}
}

// isLeft reports whether got is the record after a write of rec; one without data is a
// delete.
func isLeft(rec, got storage.Record, there bool) bool {
	if rec.Data == nil || !there {
		return rec.Data == nil && !there
	}
	rec.Revision = got.Revision
	return differ(rec, got) == ""
}

// writeAndKill starts a child process and kills it while it writes. It returns how many
// steps of each writer were acknowledged, and read with the changes that the reader got,
// which goes on from the last one.
func (e *env) writeAndKill(place string, round int, read []storage.Cursor) (done [killWriters + 1]int, _ []storage.Cursor) {
	binary, err := os.Executable()
	require.NoError(e, err)
	var name []string
	for part := range strings.SplitSeq(e.places.child, "/") {
		name = append(name, "^"+regexp.QuoteMeta(part)+"$")
	}
	child := exec.Command(binary, "-test.run="+strings.Join(name, "/"), "-test.count=1", "-test.timeout=10m")
	var from storage.Cursor
	if len(read) > 0 {
		from = read[len(read)-1]
	}
	child.Env = append(os.Environ(), childEnv+"="+fmt.Sprintf(childFormat, round, place, from.Position, from.Revision))
	stdout, err := child.StdoutPipe()
	require.NoError(e, err)
	var stderr strings.Builder
	child.Stderr = &stderr
	require.NoError(e, child.Start())
	var kill sync.Once
	end := func() { kill.Do(func() { _ = child.Process.Kill() }) }
	timer := time.AfterFunc(killStart, end)
	defer timer.Stop()

	// Kill at another moment in each round. The lines until then are read to the end.
	const some = 10
	var other []string
	lines := bufio.NewScanner(stdout)
	for n := 0; lines.Scan(); {
		var c storage.Cursor
		if line, ok := strings.CutPrefix(lines.Text(), childRead); ok {
			if _, err := fmt.Sscan(line, &c.Position, &c.Revision); err == nil {
				read = append(read, c)
			}
			continue
		}
		var w, step int
		line, ok := strings.CutPrefix(lines.Text(), childLine)
		if c, _ := fmt.Sscan(line, &w, &step); !ok || c != 2 {
			other = append(other, lines.Text())
			continue
		}
		if step != done[w] {
			e.Errorf("writer %d acknowledges step %d after %d", w, step, done[w])
		}
		done[w] = step + 1
		if n++; n == some {
			timer.Reset(time.Duration(20+70*round) * time.Millisecond)
		}
	}
	end()
	_ = child.Wait()
	if slices.Max(done[:]) < 2 {
		e.fatalf("the child process wrote nothing in %v; it said:\n%s\n%s", killStart, strings.Join(other, "\n"), stderr.String())
	}
	return done, read
}
