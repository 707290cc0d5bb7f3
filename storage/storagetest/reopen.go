package storagetest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var durableCases = []testCase{
	{"durable/reopen", "Every acknowledged record is there after Close and Open, byte for byte and with its revision.", caseReopen},
	{"durable/kill", "Every acknowledged record is there after the process was killed, byte for byte, and no write is there in part.", caseKill},
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

// childEnv names the place that a child process writes to. childLine begins the lines in
// which the child says which steps were acknowledged.
const (
	childEnv  = "RESOURCEKIT_STORAGETEST_CHILD"
	childLine = "storagetest: acknowledged "
)

// The writers of a child process. Each has keys of its own.
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

// writeIfChild writes to the place that the parent has named until the process is killed.
// In the parent it does nothing.
func writeIfChild(t *testing.T, d Durable) {
	place, round := "", 0
	if n, _ := fmt.Sscanf(os.Getenv(childEnv), "%d %q", &round, &place); n != 2 {
		return
	}
	store, err := d.Open(context.Background(), place)
	if err != nil {
		t.Fatal(err)
	}
	err = inParallel(killWriters, func(w int) error {
		revisions := make(map[storage.Key]storage.Revision)
		for n := 0; ; n++ {
			if err := doStep(store, stepOf(round, w, n), revisions); err != nil {
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

// doStep makes a step, and notes the new revisions.
func doStep(store storage.Store, step killStep, revisions map[storage.Key]storage.Revision) error {
	var writes []storage.Write
	for _, rec := range step {
		w := putOf(rec, revisions[rec.Key])
		w.Delete = rec.Data == nil
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

// caseKill kills a process that writes, several times at one place. Each time every write
// that was acknowledged to any of them must be there.
func caseKill(e *env) {
	place := e.newPlace()
	var done [killRounds][killWriters]int // steps acknowledged
	for round := range killRounds {
		done[round] = e.writeAndKill(place, round)
		store := e.openAt(place)
		listed := make(map[storage.Key]storage.Record)
		for _, rec := range e.walk(store, testScope, storage.Range{Limit: 100}) {
			listed[rec.Key] = rec
		}
		for past := range round + 1 {
			for w := range killWriters {
				e.checkSteps(listed, past, w, done[past][w])
			}
		}
		// And it can be written to.
		rec := e.mustPut(store, record(testKey(fmt.Sprint("after-", round)), "x"), 0)
		e.holds(store, rec)
		require.NoError(e, store.Close())
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

// isLeft reports whether got is the record after a write of rec; one without data is a
// delete.
func isLeft(rec, got storage.Record, there bool) bool {
	if rec.Data == nil || !there {
		return rec.Data == nil && !there
	}
	rec.Revision = got.Revision
	return differ(rec, got) == ""
}

// writeAndKill starts a child process, kills it while it writes, and returns how
// many steps of each writer were acknowledged.
func (e *env) writeAndKill(place string, round int) (done [killWriters]int) {
	binary, err := os.Executable()
	require.NoError(e, err)
	var name []string
	for part := range strings.SplitSeq(e.places.child, "/") {
		name = append(name, "^"+regexp.QuoteMeta(part)+"$")
	}
	child := exec.Command(binary, "-test.run="+strings.Join(name, "/"), "-test.count=1", "-test.timeout=10m")
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%d %q", childEnv, round, place))
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
	return done
}
