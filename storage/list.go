package storage

import (
	"context"
)

// MaxPage is the largest number of records or changes in a page. A larger limit counts as
// this.
const MaxPage = 1000

// Range says which part of an order a page has.
type Range struct {
	// From and To bound the values of a Lookup: From <= value < To, as bytes. nil is no
	// bound.
	From, To []byte

	// After is where the page begins: after this position, in the direction of the
	// range. It need not be that of a record. The zero Position is the beginning.
	After Position

	Backwards bool // descending order
	Limit     int  // records; at least 1, and above MaxPage it counts as MaxPage
}

// Position is the place of a record in an order.
type Position struct {
	Value      []byte // of a Lookup; nil in a List
	ExternalID string
}

// IsZero reports whether p is the zero Position, which is no place.
func (p Position) IsZero() bool { return p.ExternalID == "" }

// Page is one page of a List or Lookup.
type Page struct {
	// Records are in the order of the call. There may be fewer than the limit, even
	// none, and still a Next. The slice is the caller's; the Data in it is read-only.
	Records []Record

	// Values are the values by which a Lookup found the records, in their order. They
	// are read-only. A List has none.
	Values [][]byte

	// Next is Range.After of the next page, and zero at the end.
	Next Position
}

// CheckRange returns r with a limit of at most MaxPage: the check that List and Lookup
// start with, for implementations; index is 0 for List. The error is that of a context
// that is done, or [ErrInvalid] if the scope, a bound, the position or the limit is not
// valid.
func CheckRange(ctx context.Context, scope Scope, index uint32, r Range) (Range, error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	if err := scope.Validate(); err != nil {
		return r, err
	}
	lookup := index != 0
	switch {
	case r.Limit < 1:
		return r, invalid("the limit of a list is below 1")
	case !lookup && (r.From != nil || r.To != nil || r.After.Value != nil):
		return r, invalid("a list by external id has bounds of values")
	case r.After.IsZero() && r.After.Value != nil, lookup && !r.After.IsZero() && len(r.After.Value) == 0:
		return r, invalid("a position has only one of value and external id")
	case len(r.From) > MaxValue+1 || len(r.To) > MaxValue+1 || len(r.After.Value) > MaxValue:
		return r, invalid("a bound is longer than a value")
	}
	if !r.After.IsZero() {
		if err := checkExternalID(r.After.ExternalID); err != nil {
			return r, err
		}
	}
	r.Limit = min(r.Limit, MaxPage)
	return r, nil
}
