package schema

import (
	"unicode"
	"unicode/utf8"
)

// maxSuggestName is the length of the longest name, in bytes, that gets a suggestion.
const maxSuggestName = 64

// Suggest returns the declared field of the document that is nearest to name, as in the
// "did you mean" of a [Violation], or "" if none is near.
func (s *Schema) Suggest(name string) string { return suggest(s.root.fields, []byte(name)) }

// suggest returns the declared name that is nearest to an unknown one, or "" if none is
// near. A name that differs only in case, '_', '-', '.' and blanks comes before one that
// differs in letters; among equals the first of the schema is taken.
func suggest(fields []field, unknown []byte) string {
	if len(unknown) > maxSuggestName {
		return ""
	}
	var bufA, bufB [maxSuggestName]rune
	name := fold(bufA[:0], string(unknown))
	best, bestDistance := "", maxDistance+1
	for i := range fields {
		if len(fields[i].name) > maxSuggestName {
			continue
		}
		other := fold(bufB[:0], fields[i].name)
		limit := min(allowedDistance(max(len(name), len(other))), bestDistance-1)
		if d := distance(name, other, limit); d <= limit {
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

// distance returns the number of insertions, deletions, replacements and swaps
// of neighbours between a and b (optimal string alignment), or limit+1 when it
// is larger than limit. Both have at most maxSuggestName letters.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || limit < 0 {
		return limit + 1
	}
	var rows [3][maxSuggestName + 1]int
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		above[j] = j
	}
	for i := range a {
		row[0] = i + 1
		least := row[0]
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			d := min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			row[j+1] = d
			least = min(least, d)
		}
		if least > limit {
			return limit + 1
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], limit+1)
}
