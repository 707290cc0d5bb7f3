package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/resourcekit/schema"
)

// plan decides by which index a list reads, and where it begins.
func (l *listing) plan(ctx context.Context) error {
	l.planned = true
	l.bounds.Backwards = l.opts.Descending
	var order uint32
	if l.opts.Order != "" {
		var err error
		if order, err = l.c.indexOf(l.opts.Order); err != nil {
			return err
		}
	}
	l.search(order)
	if len(l.opts.Filter) > 0 && l.bounds.From == nil && l.bounds.To == nil && !l.opts.AllowScan {
		return l.unindexed()
	}
	at, err := l.decodeCursor(ctx)
	if err != nil {
		return l.fail(err)
	}
	l.after = at.after
	switch {
	case l.opts.Cursor != "" && at.index == 0 && order != 0:
		return l.fail(wrongList)
	case l.opts.Cursor != "" && at.index == 0: // of a scan, which goes on
		l.search(0)
		l.scan()
		return nil
	case at.index != 0 && at.index != l.index:
		if order != 0 || !l.c.has(at.index) {
			return l.fail(wrongList)
		}
		l.search(at.index)
	}
	if l.index == 0 {
		return nil
	}
	isReady, err := l.c.isReady(ctx, l.scope, l.index)
	if err != nil {
		return l.fail(err)
	}
	if isReady {
		return nil
	}
	switch {
	case l.opts.Cursor != "":
		return l.fail(&reason{ErrCursor, "invalid cursor: its index is being built; begin the list again"})
	case order == 0:
		l.scan()
		return nil
	}
	isEmpty, err := l.c.isEmpty(ctx, l.scope)
	if err != nil {
		return l.fail(err)
	}
	if l.done = isEmpty; !isEmpty {
		err = l.fail(ErrNotIndexed)
	}
	return err
}

// scan reads all resources, in the order of their external ids.
func (l *listing) scan() {
	l.index, l.bounds.From, l.bounds.To, l.done = 0, nil, nil, false
}

// search sets the index and the bounds of a search: the index with this number, or with 0
// the one that serves the filter best.
func (l *listing) search(number uint32) {
	l.index, l.bounds.From, l.bounds.To = number, nil, nil
	if number < ownIndexes {
		l.index, l.bounds.From, l.bounds.To = l.filter.Range(number)
	}
	if l.index == 0 || number >= ownIndexes {
		var own uint32
		if number != 0 {
			own = number - ownIndexes
		}
		own, from, to := l.times.Range(own)
		if own != 0 && l.c.has(ownIndexes+own) {
			l.index, l.bounds.From, l.bounds.To = ownIndexes+own, from, to
		}
	}
	l.done = l.bounds.To != nil && string(l.bounds.To) <= string(l.bounds.From)
}

// has reports whether the collection has the index with this number.
func (c *Collection) has(number uint32) bool {
	return slices.ContainsFunc(c.index, func(x index) bool { return x.number == number })
}

// indexOf returns the number of the index of a field or an own time.
func (c *Collection) indexOf(field string) (uint32, error) {
	var number uint32
	var err error
	if strings.HasPrefix(field, ownPrefix) {
		if number, err = ownTimes.Index(field); err != nil {
			return 0, err
		}
		if number += ownIndexes; c.has(number) {
			return number, nil
		}
		err = &schema.ValidationError{Of: "order", Violations: []schema.Violation{{
			Pointer: schema.Pointer("/" + field), Code: codeIndex,
		}}}
	} else if number, err = c.schema.Index(field); err == nil {
		return number, nil
	}
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) && invalid.Violations[0].Code == codeIndex {
		invalid.Violations[0].Message = c.wantIndexed()
	}
	return 0, err
}

// codeIndex is the code of a violation in package schema for a field without an index.
const codeIndex = "index"

// wantIndexed returns the message for a field without an index, with the fields and times
// that have one.
func (c *Collection) wantIndexed() string {
	names := c.schema.Indexed()
	if c.opts.IndexCreatedAt {
		names = append(names, ownCreated)
	}
	if c.opts.IndexUpdatedAt {
		names = append(names, ownUpdated)
	}
	if len(names) == 0 {
		return "expected a field with an index; no field has one"
	}
	return "expected a field with an index: " + strings.Join(names, ", ")
}

// unindexed returns the violation of a filter that no index serves.
func (l *listing) unindexed() error {
	if l.opts.Order != "" {
		return &schema.ValidationError{Of: "filter", Violations: []schema.Violation{{
			Pointer: schema.Pointer(""), Code: codeIndex,
			Message: fmt.Sprintf("expected a condition on %s, by which the list is sorted, or no order", l.opts.Order),
		}}}
	}
	_, err := l.c.indexOf(l.opts.Filter[0].Field)
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		invalid.Of = "filter"
	}
	return err
}
