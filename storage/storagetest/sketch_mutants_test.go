package storagetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"example.com/resourcekit/storage"
)

// sketchMistakes are what can be wrong with entries and the log, and the cases that must
// catch it. sketch_test.go says what each of them does.
var sketchMistakes = []struct {
	mistake string
	caught  []string
}{
	// Entries.
	{"keeps entries that an update does not have", []string{"entries/replaced", "entries/random"}},
	{"an update keeps the entries", []string{"entries/replaced"}},
	{"an update without entries keeps those of before", []string{"entries/replaced"}},
	{"keeps the entries of deleted records", []string{"entries/replaced", "entries/random", "lookup/scopes"}},
	{"keeps one entry of each index", []string{"entries/replaced", "entries/largest"}},
	{"cuts values", []string{"entries/largest", "lookup/order"}},
	{"takes the entries of a write that conflicts", []string{"entries/not-applied"}},
	{"removes the entries of a record whose new value is taken", []string{"entries/not-applied", "unique/one"}},
	{"SetEntries adds entries", []string{"entries/set"}},
	{"SetEntries gives a new revision", []string{"entries/set"}},
	{"SetEntries touches the time", []string{"entries/set"}},
	{"SetEntries of any revision", []string{"entries/set"}},
	{"sets entries of absent keys", []string{"entries/set"}},
	{"writes the record and then its entries", []string{"lookup/while-moving"}},
	{"replaces the entries that it read before it took its lock", []string{"entries/set-race"}},
	{"writes entries only if they differ from those it read before", []string{"entries/set-race"}},

	// Look-ups.
	{"sorts values as text", []string{"lookup/order", "entries/random"}},
	{"sorts values by their lengths", []string{"lookup/order"}},
	{"equal values in any order", []string{"lookup/order", "lookup/position"}},
	{"looks up forwards alone", []string{"lookup/order", "lookup/bounds"}},
	{"leaves the upper bound in", []string{"lookup/bounds"}},
	{"takes an empty bound for none", []string{"lookup/bounds"}},
	{"includes the position of a look-up", []string{"lookup/position"}},
	{"goes on after the value of the position", []string{"lookup/position", "lookup/moving-pages"}},
	{"goes on after as many records as it has returned", []string{"lookup/moving-pages"}},
	{"ends a look-up after a page", []string{"lookup/limit", "lookup/order"}},
	{"has no largest page", []string{"lookup/limit"}},
	{"returns no values", []string{"lookup/order"}},
	{"finds records of other scopes", []string{"lookup/scopes"}},
	{"finds records of other indexes", []string{"lookup/scopes"}},
	{"reads the records of a look-up after their entries", []string{"lookup/while-moving"}},

	// Unique values.
	{"values are not unique", []string{"unique/one", "unique/race", "unique/in-turn"}},
	{"a value is taken in all scopes", []string{"unique/one", "entries/random"}},
	{"a value is taken in all indexes", []string{"unique/one"}},
	{"entries that are not unique take the value", []string{"unique/one", "unique/batch"}},
	{"a record cannot keep its own value", []string{"unique/one", "unique/in-turn"}},
	{"does not see that an entry becomes unique", []string{"unique/one"}},
	{"SetEntries does not look whether a value is taken", []string{"unique/one", "unique/race"}},
	{"names the first index", []string{"unique/error"}},
	{"tells the value that is taken", []string{"unique/error"}},
	{"checks that a value is free before it takes its lock", []string{"unique/race", "unique/in-turn"}},
	{"makes the writes of a call in the order of the keys", []string{"unique/batch"}},
	{"checks all values of a call before it makes the first write", []string{"unique/batch"}},
	{"frees all values of a call before it makes the first write", []string{"unique/batch"}},
	{"refuses a whole call for one value", []string{"unique/alone", "unique/batch", "entries/not-applied"}},

	// The log.
	{"logs writes without a note", []string{"log/applied"}},
	{"logs writes that conflict", []string{"log/applied", "log/complete"}},
	{"logs writes whose value is taken", []string{"log/applied"}},
	{"logs SetEntries", []string{"log/applied"}},
	{"does not log deletes", []string{"log/changes", "log/complete"}},
	{"makes a write twice when it can", []string{"log/changes", "log/complete"}},
	{"logs times to the second", []string{"log/changes"}},
	{"logs documents as text", []string{"log/changes"}},
	{"logs no ID of a delete", []string{"log/changes"}},
	{"logs the ID of the write", []string{"log/changes"}},
	{"does not log what was before", []string{"log/changes", "log/complete"}},
	{"swaps two changes now and then", []string{"log/complete"}},
	{"logs a write after it is done", []string{"log/complete"}},
	{"shows changes late, out of turn", []string{"log/complete", "log/changes"}},
	{"tells a scope the changes of all", []string{"log/queries"}},
	{"tells a key the changes of its scope", []string{"log/queries"}},
	{"tells a key the changes of all scopes", []string{"log/queries"}},
	{"moves the cursor to chosen changes alone", []string{"log/queries"}},
	{"always has more", []string{"log/pages"}},
	{"never has more", []string{"log/pages"}},
	{"goes on with the last change of the page", []string{"log/pages"}},
	{"has no largest page of changes", []string{"log/pages"}},
	{"the first page of an empty log leads to its start", []string{"log/end"}},
	{"the end of an empty log is its start", []string{"log/end", "log/trim"}},
	{"the end of the log is after the next change", []string{"log/end", "log/complete"}},
	{"does not check the revision of a cursor", []string{"log/expired"}},
	{"takes a cursor ahead of the log", []string{"log/expired"}},
	{"reads on after a gap", []string{"log/trim"}},
	{"takes the cursor before the first change for expired", []string{"log/trim"}},
	{"trims what it finds old anywhere", []string{"log/trim"}},
	{"trims what was made at the time", []string{"log/trim"}},
	{"removes redacted changes", []string{"log/redact"}},
	{"redacts the id in all scopes", []string{"log/redact"}},
	{"keeps the actor of redacted changes", []string{"log/redact"}},
	{"keeps the documents of redacted changes", []string{"log/redact"}},
	{"keeps the id of redacted changes", []string{"log/redact"}},
	{"hashes redacted ids without a key", []string{"log/redact"}},
	{"makes another id for each redacted change", []string{"log/redact"}},
	{"forgets the time of redacted changes", []string{"log/redact"}},
	{"redacts what was redacted before", []string{"log/redact"}},
	{"does not count what it redacts", []string{"log/redact"}},
	{"takes any note of a redaction", []string{"log/redact"}},
	{"adds nothing to the log for a redaction", []string{"log/redact", "log/redact-race"}},
	{"adds one change for a redaction", []string{"log/redact"}},
	{"adds changes for a redaction backwards", []string{"log/redact"}},
	{"adds a change for each one that it redacts", []string{"log/redact"}},
	{"adds changes with the id of the key", []string{"log/redact"}},
	{"adds changes that are not redacted", []string{"log/redact"}},
	{"adds changes that are not deletes", []string{"log/redact"}},
	{"adds changes with the last revision", []string{"log/redact"}},
	{"forgets the note of a redaction", []string{"log/redact"}},
	{"trims in spite of an end", []string{"log/trim-end"}},
	{"leaves the change at the end", []string{"log/trim-end"}},
	{"takes any end of Trim", []string{"log/trim-end"}},
	{"goes forwards in spite of Backwards", []string{"log/backwards"}},
	{"returns the change of the cursor again, backwards", []string{"log/backwards"}},
	{"has a Next after the oldest change", []string{"log/backwards"}},
	{"returns documents in spite of NoData", []string{"log/documents"}},
	{"leaves out the note with the documents", []string{"log/documents"}},
	{"bounds a page by the number of its changes alone", []string{"log/documents"}},
	{"ends a page after the change that is too much", []string{"log/documents"}},
	{"has no page for one large change", []string{"log/documents"}},
}

// sketchKeptMistakes are mistakes of the sketch in a file.
var sketchKeptMistakes = []struct {
	mistake string
	caught  []string
}{
	{"forgets entries when it is opened", []string{"durable/entries", "durable/kill"}},
	{"forgets which values are taken when it is opened", []string{"durable/entries"}},
	{"forgets a change when it is opened", []string{"durable/log", "durable/kill"}},
	{"forgets what Trim removed when it is opened", []string{"durable/log"}},
	{"makes another key of redacted ids when it is opened", []string{"durable/log"}},
	{"begins another log when it is opened", []string{"durable/log", "restored/log"}},
	{"writes the record and then its entries", []string{"durable/kill"}},
	{"logs a write after it is done", []string{"durable/kill", "durable/log"}},
	{"shows changes late, out of turn", []string{"durable/kill"}},
	{"does not check the revision of a cursor", []string{"restored/log"}},
	{"takes a cursor ahead of the log", []string{"restored/log"}},
	{"adds the changes of a redaction after it", []string{"durable/kill"}},
	{"adds changes of revisions that are not random", []string{"restored/log"}},
}

// servedLogMutants are mistakes that need a blocked write or a network.
var servedLogMutants = []durableMutant{
	{"SetEntries of any revision",
		[]string{"blocked/entries"}, true, opened(func(store storage.Store) storage.Store {
			m := &mutant{Store: store}
			m.set = func(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error {
				err := store.SetEntries(ctx, key, expect, entries)
				if current := m.conflicting(ctx, key, err); current != nil {
					return store.SetEntries(ctx, key, current.Revision, entries)
				}
				return err
			}
			return m
		})},
	{"repeats SetEntries",
		[]string{"network/set-entries"}, true, onNetwork(func(m *mutant) {
			m.set = func(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error {
				err := m.Store.SetEntries(ctx, key, expect, entries)
				if errors.Is(err, storage.ErrUnknownOutcome) {
					return m.Store.SetEntries(ctx, key, expect, entries)
				}
				return err
			}
		})},
	{"makes a write again, with another revision, when its answer is lost",
		[]string{"network/update"}, true, onNetwork(func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if errors.Is(err, storage.ErrUnknownOutcome) {
					return m.overwrite(ctx, w)
				}
				return err
			}
		})},
	{"checks the revision and then writes, as another call",
		[]string{"network/latency"}, true, onNetwork(lostUpdate)},
}

// TestSketch: without a mistake it is a right store.
func TestSketch(t *testing.T) {
	t.Parallel()
	d := sketches("")
	writeIfChild(t, d)
	runCases(t, slices.Concat(entryCases, lookupCases, uniqueCases, logCases, d.cases()), d.prepare(t.Name()))
}

func TestSketchMutants(t *testing.T) {
	usual := patience
	patience = 50 * time.Millisecond
	t.Cleanup(func() { patience = usual })
	for _, m := range sketchMistakes {
		t.Run(m.mistake, func(t *testing.T) {
			runMutant(t, cases(), m.caught, func(e *env) {
				e.open = func() storage.Store {
					store, _ := openSketch("", m.mistake)
					return store
				}
			})
		})
	}
	for _, m := range sketchKeptMistakes {
		t.Run("kept/"+m.mistake, func(t *testing.T) {
			d := sketches(m.mistake)
			writeIfChild(t, d)
			prepare := d.prepare(t.Name())
			runMutant(t, d.cases(), m.caught, func(e *env) { prepare(t, e) })
		})
	}
}
