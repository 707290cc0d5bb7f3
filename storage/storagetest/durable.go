package storagetest

import (
	"context"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// Durable tells the suite how to open records that outlive a store. New and Open are
// needed; each of the others adds cases.
type Durable struct {
	// New makes an empty place for records and returns its name for Open: a path, a
	// DSN. It removes the place with t.Cleanup.
	New func(t *testing.T) (place string)

	// Open opens a store on the records of a place. The suite calls it several times
	// for one place, also in child processes, which do not call New.
	Open func(ctx context.Context, place string) (storage.Store, error)

	// OneHandle says that a place must be closed before it is opened again.
	// It leaves out the cases under "peer", which have two stores on one place.
	OneHandle bool

	// Block, if not nil, makes every write to the place wait, as a transaction
	// of another program would, until release is called. It adds the cases
	// under "blocked".
	Block func(t *testing.T, place string) (release func())

	// Copy, if not nil, makes a copy of a place as it is now, as a backup would, and
	// returns its name for Open. No store is open on the place. It adds the case under
	// "restored".
	Copy func(t *testing.T, place string) (copied string)

	// OpenConn, if not nil, is Open for a store on a network: every
	// connection that the store makes goes through wrap. The connections must
	// not be encrypted. It adds the cases under "network".
	OpenConn func(ctx context.Context, place string, wrap func(net.Conn) net.Conn) (storage.Store, error)
}

// RunDurable checks all that Run checks, and more for a store whose records outlive it:
// the records, their entries and the log are there after Close and after the process was
// killed, two stores on one place behave as one, a blocked write ends with its context, one
// whose answer got lost is reported as unknown, and a restored log refuses later cursors.
//
// For the kill it starts the test's own binary again, with -test.run set to the name of
// t. That process calls only Open, and writes until it is killed. So the code before
// RunDurable runs there too: it must be quick, and must bear that two processes run it.
func RunDurable(t *testing.T, d Durable) {
	t.Helper()
	writeIfChild(t, d)
	runCases(t, append(cases(), d.cases()...), d.prepare(t.Name()))
}

// cases returns the cases beside those of every store.
func (d Durable) cases() []testCase {
	all := slices.Concat(durableCases, keptCases)
	if !d.OneHandle {
		for _, group := range [][]testCase{
			swapCases, raceCases, listCases, batchCases, modelCases, entryCases, lookupCases, uniqueCases, logCases,
		} {
			for _, c := range group {
				all = append(all, testCase{"peer/" + c.name, "Of two stores on the same records: " + c.contract, c.onPair})
			}
		}
		all = append(all, peerCases...)
	}
	if d.Copy != nil {
		all = append(all, restoredCases...)
	}
	if d.Block != nil {
		all = slices.Concat(all, blockedCases, blockedEntryCases)
	}
	if d.OpenConn != nil {
		all = slices.Concat(all, networkCases, networkLogCases)
	}
	return all
}

// places is where the cases of a Durable keep their records.
type places struct {
	Durable
	t     *testing.T
	child string // the test that a child process runs
}

func (d Durable) prepare(child string) func(*testing.T, *env) {
	return func(t *testing.T, e *env) {
		e.places = &places{Durable: d, t: t, child: child}
		e.open = func() storage.Store {
			store := e.openAt(e.newPlace())
			e.mustBeEmpty(store)
			return store
		}
	}
}

func (e *env) newPlace() string { return e.places.New(e.places.t) }

// openAt opens a store at a place. The case closes it in the end.
func (e *env) openAt(place string) storage.Store {
	store, err := e.places.Open(context.Background(), place)
	require.NoError(e, err, "open")
	e.closeLater(store)
	return store
}
