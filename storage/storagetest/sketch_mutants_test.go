package storagetest

import (
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
}

// TestSketch: without a mistake it is a right store.
func TestSketch(t *testing.T) { RunDurable(t, sketches("")) }

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
}
