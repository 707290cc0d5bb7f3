package storage

import "context"

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

// IsZero reports whether p is the zero Position: the beginning for Range.After, the end
// for Page.Next.
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

// CheckList returns r with a limit of at most MaxPage: the check that List starts with,
// for implementations. The error is that of a context that is done, or [ErrInvalid] if the
// scope, the position or the limit is not valid, or there are bounds of values.
func CheckList(ctx context.Context, scope Scope, r Range) (Range, error) {
	var err error
	if r.From != nil || r.To != nil || r.After.Value != nil {
		err = invalid("a list by external id has bounds of values")
	}
	return r.check(ctx, scope, err)
}

// CheckLookup is as [CheckList], for Lookup. The error is ErrInvalid also for index 0 and
// for a bound that is too long.
func CheckLookup(ctx context.Context, scope Scope, index uint32, r Range) (Range, error) {
	var err error
	switch {
	case index == 0:
		err = invalid("a lookup of index 0")
	case r.After.IsZero() != (len(r.After.Value) == 0):
		err = invalid("a position has only one of value and external id")
	case len(r.From) > MaxValue+1 || len(r.To) > MaxValue+1 || len(r.After.Value) > MaxValue:
		err = invalid("a bound is longer than a value")
	}
	return r.check(ctx, scope, err)
}

// check makes the checks that List and Lookup have in common. err is what the caller has
// found wrong, and comes after the error of the context.
func (r Range) check(ctx context.Context, scope Scope, err error) (Range, error) {
	if done := ctx.Err(); done != nil {
		return r, done
	}
	if err == nil {
		err = scope.Validate()
	}
	if err == nil && r.Limit < 1 {
		err = invalid("the limit of a list is below 1")
	}
	if err == nil && !r.After.IsZero() {
		err = checkExternalID(r.After.ExternalID)
	}
	r.Limit = min(r.Limit, MaxPage)
	return r, err
}
