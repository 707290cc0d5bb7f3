// Package nearmiss tells how near a name is to another that was probably meant.
package nearmiss

// MaxName is how many letters a name may have to be near to any other.
const MaxName = 64

// Distance returns the number of insertions, deletions, replacements and swaps of
// neighbours between a and b (optimal string alignment), or limit+1 if it is larger
// than limit, or if one of them has more than MaxName letters.
func Distance(a, b []rune, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) > limit || limit < 0 || max(len(a), len(b)) > MaxName {
		return limit + 1
	}
	var rows [3][MaxName + 1]int
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
