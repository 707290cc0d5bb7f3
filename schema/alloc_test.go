//go:build !race

package schema

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAllocations(t *testing.T) {
	customer := benchDocs()[0]
	deep := []byte(full + `"live":true,"since":"2024-02-29T12:00:00\u005a","address":{"city":"c","country":"US","geo":{"lat":1,"lon":2}},"lines":[{"sku":"s","qty":1,"parts":[{"part_no":"p"}]}]}`)
	for _, tt := range []struct {
		name string
		s    *Schema
		doc  []byte
	}{{"customer", Customers(), customer}, {"nested", nested(t), deep}} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := tt.s.Check(tt.doc, nil)
			require.NoError(t, err)
			assertAllocs := func(name string, want float64, fn func() error) {
				t.Helper()
				got := testing.AllocsPerRun(200, func() {
					if err := fn(); err != nil {
						t.Fatal(err)
					}
				})
				assert.LessOrEqual(t, got, want, name)
			}
			assertAllocs("Validate", 0, func() error { return tt.s.Validate(tt.doc) })
			assertAllocs("Check", 1, func() error { _, err := tt.s.Check(tt.doc, nil); return err })
			assertAllocs("Finish", 0, func() error { _, err := c.Finish(tt.doc, tt.doc); return err })
			assertAllocs("Finish on insert", 0, func() error { _, err := c.Finish(nil, tt.doc); return err })
			assertAllocs("Show", 0, func() error { _, err := tt.s.Show(tt.doc); return err })
		})
	}
}
