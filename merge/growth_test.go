//go:build !race

package merge_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/internal/growth"
	"example.com/resourcekit/merge"

	"github.com/stretchr/testify/assert"
)

// TestGrowth: no size of a document or a patch makes another one more expensive. It is left
// out under the race detector, which makes sync.Pool drop items at random.
func TestGrowth(t *testing.T) {
	wide := func(n int, value string) []byte {
		members := make([]string, n)
		for i := range members {
			members[i] = fmt.Sprintf(`"m%d":%s`, i*7919%n, value)
		}
		return []byte("{" + strings.Join(members, ",") + "}")
	}
	deep := func(n int, value string) []byte {
		return []byte(strings.Repeat(`{"o":`, n) + value + strings.Repeat("}", n))
	}
	// A long name around many members: its pointers hold it again and again.
	long := func(n int, value string) []byte {
		return []byte(`{"` + strings.Repeat("n", n) + `":` + string(wide(n, value)) + `}`)
	}
	for shape, tt := range map[string]struct {
		n    int
		make func(n int, value string) []byte
	}{"members": {1009, wide}, "depth": {8, deep}, "a long name": {1009, long}} {
		for name, do := range map[string]func(a, b, deletes []byte) error{
			"Patch":   func(a, b, _ []byte) error { _, err := merge.Patch(a, b); return err },
			"deletes": func(a, _, deletes []byte) error { _, err := merge.Patch(a, deletes); return err },
			"Diff":    func(a, b, _ []byte) error { _, err := merge.Diff(a, b); return err },
			"Changes": func(a, b, _ []byte) error { _, _, err := merge.Changes(a, b); return err },
			"Equal":   func(a, b, _ []byte) error { merge.Equal(a, b); return nil },
		} {
			t.Run(shape+"/"+name, func(t *testing.T) {
				factor := growth.Factor(tt.n, func(n int) func() {
					a, b, deletes := tt.make(n, "1"), tt.make(n, "2"), tt.make(n, "null")
					return func() {
						if err := do(a, b, deletes); err != nil {
							t.Error(err)
						}
					}
				})
				t.Logf("%.1f", factor)
				assert.LessOrEqual(t, factor, float64(growth.Limit))
			})
		}
	}
}
