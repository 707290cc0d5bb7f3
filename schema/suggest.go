package schema

import (
	"unicode"
	"unicode/utf8"

	"example.com/resourcekit/internal/nearmiss"
)

// Suggest returns the declared field of the document that is nearest to name, as in the
// "did you mean" of a [Violation], or "" if none is near.
func (s *Schema) Suggest(name string) string { return suggest(s.root.fields, []byte(name)) }

// suggest returns the declared name that is nearest to an unknown one, or "" if none is
// near. A name that differs only in case, '_', '-', '.' and blanks comes before one that
// differs in letters; among equals the first of the schema is taken.
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

// allowedDistance returns by how many edits a near miss may differ, for names of n
// letters: by fewer than a quarter of them, and by one from three letters on.
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
