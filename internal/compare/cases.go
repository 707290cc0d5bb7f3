package main

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/tidwall/gjson"
)

// A contender does one piece of work.
type contender struct {
	name string
	// run works on the document that call number i falls on. The result is
	// valid until the next call; it is nil where the work has none.
	run  func(i int) ([]byte, error)
	goal *goal // of this library's work; nil for the others
	once bool  // so slow that one call has to do
}

// A goal is what this library promises of a piece of work. Zero values promise
// nothing, except for allocs.
type goal struct {
	ofV    float64 // time by that of yardstick, at most
	rival  string  // a contender of the same case
	times  float64 // time of rival by ours, at least; below 1 where ours may take longer
	allocs float64 // for each call, at most; negative if nothing is promised
}

// yardstick is the name of the contender that goals are measured by, and second that
// of another one, for V depends on where the linker puts its loop.
const (
	yardstick = "gjson.ValidBytes"
	second    = "encoding/json.Valid"
)

// yardsticks returns both, for the texts of call number i: a document, and a patch
// that may be nil.
func yardsticks(texts func(i int) (document, patch []byte)) []contender {
	by := func(name string, valid func([]byte) bool) contender {
		return contender{name: name, run: func(i int) ([]byte, error) {
			document, patch := texts(i)
			if !valid(document) || patch != nil && !valid(patch) {
				return nil, errors.New("not valid")
			}
			return nil, nil
		}}
	}
	return []contender{by(yardstick, gjson.ValidBytes), by(second, json.Valid)}
}

// A set is some work on the same inputs, so that its contenders can be
// compared.
type set struct {
	name       string // in benchmarks
	title      string // of the inputs, in the table
	bytes      int    // one call's input, on average
	contenders []contender
	bigHeap    bool // a garbage collection takes long
}

// A source makes a set when it is its turn, so that the inputs of one do not
// fill the memory of another.
type source struct {
	name  string
	large bool // takes long: only with -large
	open  func() (*set, error)
}

// sources returns everything that is measured except for growth.
func sources() []source {
	return slices.Concat(mergeSources(), schemaSources(), resourceSources())
}
