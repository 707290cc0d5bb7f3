package nearmiss_test

import (
	"strings"
	"testing"

	"example.com/resourcekit/internal/nearmiss"

	"github.com/stretchr/testify/assert"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b  string
		limit int
		want  int
	}{
		{"", "", 0, 0}, {"abc", "abc", 0, 0}, {"abc", "abd", 0, 1}, {"abc", "abd", 3, 1}, {"abc", "acb", 3, 1}, {"abc", "ab", 3, 1},
		{"abc", "xabc", 3, 1}, {"ca", "abc", 3, 3}, {"kitten", "sitting", 3, 3}, {"kitten", "sitting", 2, 3}, {"abcdef", "uvwxyz", 3, 4},
		{"a", "abcde", 3, 4}, {"é", "e", 3, 1}, {"abc", "", 3, 3},
		{strings.Repeat("x", 64), strings.Repeat("x", 63), 3, 1}, {strings.Repeat("x", 65), strings.Repeat("x", 65), 3, 4},
	} {
		assert.Equal(t, tt.want, nearmiss.Distance([]rune(tt.a), []rune(tt.b), tt.limit), "%s %s", tt.a, tt.b)
		assert.Equal(t, tt.want, nearmiss.Distance([]rune(tt.b), []rune(tt.a), tt.limit), "%s %s", tt.b, tt.a)
	}
}
