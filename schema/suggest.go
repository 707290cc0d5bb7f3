package schema

import (
	"unicode"
	"unicode/utf8"

	"example.com/resourcekit/internal/nearmiss"
)

// Suggest returns the field of the document, not of an object in it, that name was
// probably meant to be, as in the "did you mean" of a [Violation]; or "" when none is
// near.
func (s *Schema) Suggest(name string) string { return suggest(s.root.fields, []byte(name)) }

// suggest returns the declared name that was probably meant by an unknown one,
// or "" when none is near. A name that differs only in case, '_', '-', '.' and
// blanks is taken before any that differs in letters; among equals the first in
// the order of the schema.
func suggest(fields []field, unknown []byte) string {
	if len(unknown) > nearmiss.MaxName {
		return ""
	}
	var bufA, bufB [nearmiss.MaxName]rune
	name := fold(bufA[:0], string(unknown))
	best, bestDistance := "", maxDistance+1
	for i := range fields {
		if len(fields[i].name) > nearmiss.MaxName {
			continue
		}
		other := fold(bufB[:0], fields[i].name)
		limit := min(allowedDistance(max(len(name), len(other))), bestDistance-1)
		if d := nearmiss.Distance(name, other, limit); d <= limit {
			best, bestDistance = fields[i].name, d
		}
		if bestDistance == 0 {
			break
		}
	}
	return best
}

// maxDistance is the largest value of allowedDistance.
const maxDistance = 3

// allowedDistance returns how many edits a near miss may be away, for names of
// n letters: fewer than a quarter of them, but one from three letters on.
func allowedDistance(n int) int {
	switch {
	case n < 3:
		return 0
	case n < 9:
		return 1
	case n < 14:
		return 2
	}
	return maxDistance
}

// fold appends the letters of name in lower case, without separators.
func fold(dst []rune, name string) []rune {
	for _, r := range name {
		if r == '_' || r == '-' || r == '.' || r == ' ' || r == utf8.RuneError {
			continue
		}
		dst = append(dst, unicode.ToLower(r))
	}
	return dst
}
