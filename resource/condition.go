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

// A Condition is what a write demands of the resource: that it is at one of some
// revisions, at none of some, or absent. The zero value demands nothing.
// Conditions can be compared by ==, and those that are equal demand the same.
//
// A write whose Condition does not hold fails with [ErrPrecondition]. Judging it and
// writing are one atomic step: optimistic concurrency.
type Condition struct {
	some  bool   // the resource must be at one of the revisions at
	at    string // see listOf
	notAt string // the resource must be at none of these revisions
}

// AtRevision demands that the resource is at one of these revisions; without any, it
// never holds. 0 is the revision of a resource that does not exist: AtRevision of the
// revision of a dry run's result demands that nothing has changed since.
func AtRevision(revisions ...storage.Revision) Condition {
	return Condition{at: listOf(revisions), some: true}
}

// NotAtRevision demands that the resource is at none of these revisions. It holds for a
// resource that does not exist, unless 0 is among them: NotAtRevision(0) demands that the
// resource exists.
func NotAtRevision(revisions ...storage.Revision) Condition {
	return Condition{notAt: listOf(revisions)}
}

// Absent demands that the resource does not exist, as AtRevision(0) does.
func Absent() Condition { return AtRevision(0) }

// And returns the condition that holds if both c and other hold.
func (c Condition) And(other Condition) Condition {
	if other == (Condition{}) {
		return c
	}
	both := Condition{
		some:  c.some || other.some,
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

// Holds reports whether a resource at this revision is as demanded; 0 is a resource that
// does not exist.
func (c Condition) Holds(current storage.Revision) bool {
	return (!c.some || current != pending && has(c.at, current)) && !has(c.notAt, current)
}

// String returns the demand: "any", "absent", "not absent", "revision 7", "not revision 7
// or 9", or two of these with "and" between them.
func (c Condition) String() string {
	var parts []string
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
	if len(revisions) == 1 && revisions[0] == 0 {
		return "absent"
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
