package resource

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strings"

	"example.com/resourcekit/storage"
)

// A Condition demands a state of a resource: one of some revisions, none of some
// revisions, presence or absence. The zero value demands nothing. Conditions are plain
// values: == reports whether two demand the same.
//
// A call whose Condition does not hold fails with [ErrPrecondition]. A write judges it
// with each attempt, so the state that it held for is the one that is overwritten:
// optimistic concurrency.
type Condition struct {
	some  bool   // the resource must be in one of the revisions at
	at    string // see listOf
	notAt string // the resource must be in none of these revisions
	there bool   // the resource must exist
	gone  bool   // it must not
}

// AtRevision demands that the resource is in one of these revisions. 0 stands for a
// resource that does not exist, so AtRevision(r.Revision()) of the result of a dry run
// demands that nothing has changed since. Without revisions, it never holds.
func AtRevision(revisions ...storage.Revision) Condition {
	return Condition{at: listOf(revisions), some: true}
}

// NotAtRevision demands that the resource is in none of these revisions. It holds for a
// resource that does not exist, unless 0 is one of them.
func NotAtRevision(revisions ...storage.Revision) Condition {
	return Condition{notAt: listOf(revisions)}
}

// Present demands that the resource exists.
func Present() Condition { return Condition{there: true} }

// Absent demands that the resource does not exist.
func Absent() Condition { return Condition{gone: true} }

// And returns the condition that holds if both c and other hold.
func (c Condition) And(other Condition) Condition {
	if other == (Condition{}) {
		return c
	}
	both := Condition{
		some: c.some || other.some, there: c.there || other.there, gone: c.gone || other.gone,
		notAt: listOf(append(revisionsOf(c.notAt), revisionsOf(other.notAt)...)),
	}
	switch {
	case c.some && other.some:
		both.at = listOf(slices.DeleteFunc(revisionsOf(c.at), func(r storage.Revision) bool { return !has(other.at, r) }))
	case c.some:
		both.at = c.at
	default:
		both.at = other.at
	}
	return both
}

// Holds reports whether the condition holds for a resource in this revision; 0 stands
// for a resource that does not exist.
func (c Condition) Holds(current storage.Revision) bool {
	if current == 0 && c.there || current != 0 && c.gone {
		return false
	}
	return (!c.some || current != pending && has(c.at, current)) && !has(c.notAt, current)
}

// String returns the demand: "any", "absent", "present", "revision 7", "not revision 7
// or 9", or several of these with "and" between them.
func (c Condition) String() string {
	var parts []string
	if c.there {
		parts = append(parts, "present")
	}
	if c.gone {
		parts = append(parts, "absent")
	}
	if c.some {
		parts = append(parts, textOf(c.at))
	}
	if c.notAt != "" {
		parts = append(parts, "not "+textOf(c.notAt))
	}
	if len(parts) == 0 {
		return "any"
	}
	return strings.Join(parts, " and ")
}

// listOf returns revisions as a string, which makes a Condition comparable: 8 bytes
// each, in ascending order.
func listOf(revisions []storage.Revision) string {
	if len(revisions) == 1 { // mostly
		return string(binary.BigEndian.AppendUint64(nil, uint64(revisions[0])))
	}
	revisions = slices.Compact(slices.Sorted(slices.Values(revisions)))
	list := make([]byte, 0, 8*len(revisions))
	for _, r := range revisions {
		list = binary.BigEndian.AppendUint64(list, uint64(r))
	}
	return string(list)
}

func revisionsOf(list string) (revisions []storage.Revision) {
	for ; list != ""; list = list[8:] {
		revisions = append(revisions, first(list))
	}
	return revisions
}

func first(list string) storage.Revision {
	var r storage.Revision
	for i := range 8 {
		r = r<<8 | storage.Revision(list[i])
	}
	return r
}

func has(list string, revision storage.Revision) bool {
	_, ok := sort.Find(len(list)/8, func(i int) int { return cmp.Compare(revision, first(list[8*i:])) })
	return ok
}

func textOf(list string) string {
	revisions := revisionsOf(list)
	if len(revisions) == 0 {
		return "no revision"
	}
	text := "revision"
	for i, r := range revisions {
		if i > 0 {
			text += " or"
		}
		text += fmt.Sprintf(" %d", r)
	}
	return text
}
