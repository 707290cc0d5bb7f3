//go:build !race

package schema

import (
	"bytes"
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
	}{{"customer", Customers(), customer}, {"nested", nested(t), deep}, {"checks", checked(t), []byte(full + `"live":true,"code":"AB-1234","note":"é","total":19.99,"port":8080,` +
		`"tags":["a","b","c","d","e"],"labels":{"a":"2024-02-29","b":"2024-02-29"},"one":1,"mail":"ada@example.com"}`)}} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := tt.s.Read(tt.doc, nil)
			require.NoError(t, err)
			other := bytes.Replace(tt.doc, []byte(`"name":"n"`), []byte(`"name":"m"`), 1)
			other = bytes.Replace(other, []byte(`"phone":"`), []byte(`"phone":"1`), 1)
			require.NotEqual(t, tt.doc, other)
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
			assertAllocs("Read", 1, func() error {
				r, err := tt.s.Read(tt.doc, nil)
				r.Close()
				return err
			})
			assertAllocs("Apply on an insert", 1, func() error { _, err := r.Apply(nil); return err })
			assertAllocs("Apply that changes", 1, func() error {
				doc, err := r.Apply(other)
				if !doc.Changed {
					t.Fatal("unchanged")
				}
				return err
			})
			assertAllocs("Apply that changes nothing", 0, func() error { _, err := r.Apply(tt.doc); return err })
			assertAllocs("AppendEntries without indexes", 0, func() error { _, err := tt.s.AppendEntries(nil, tt.doc); return err })
			assertAllocs("Show", 0, func() error { _, err := tt.s.Show(tt.doc, nil); return err })
		})
	}
}

// TestEntryAllocations: the entries of a document are a slice and the memory of their
// values.
func TestEntryAllocations(t *testing.T) {
	s, doc := indexedCustomers(), benchDocs()[0]
	filter, err := s.Filter([]Condition{{"email", "prefix", "ADA"}, {"createdAt", "from", "2000-01-01T00:00:00Z"}})
	require.NoError(t, err)
	entries := make([]Entry, 0, 2)
	for name, tt := range map[string]struct {
		request string
		want    float64
	}{
		"no indexed field": {`{"phone":"1"}`, 3},
		"nothing moves":    {`{"phone":"1","email":"ADA.Lovelace0@example.com"}`, 3},
		"one moves":        {`{"email":"x"}`, 5},
	} {
		r, err := s.Read([]byte(tt.request), nil)
		require.NoError(t, err)
		assert.LessOrEqual(t, testing.AllocsPerRun(200, func() { r.Apply(doc) }), tt.want, name)
	}
	assert.LessOrEqual(t, testing.AllocsPerRun(200, func() { s.AppendEntries(entries, doc) }), 2.0)
	assert.Zero(t, testing.AllocsPerRun(200, func() { s.Show(doc, filter) }))
}
