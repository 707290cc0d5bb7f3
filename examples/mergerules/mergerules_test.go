// Package mergerules is a table of merge rules to copy into a service of one's
// own: each row is a stored document, a patch and what becomes of it. Rows that
// matter to the service (its fields, its nulls, its arrays) go below.
package mergerules

import (
	"testing"

	"example.com/resourcekit/merge"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMergeRules(t *testing.T) {
	for _, rule := range []struct{ name, document, patch, want string }{
		{"unsent fields stay", `{"firstName":"Ada","email":"a@x.org"}`, `{"firstName":"Grace"}`, `{"firstName":"Grace","email":"a@x.org"}`},
		{"null deletes", `{"firstName":"Ada","email":"a@x.org"}`, `{"email":null}`, `{"firstName":"Ada"}`},
		{"null on an absent field does nothing", `{"firstName":"Ada"}`, `{"email":null}`, `{"firstName":"Ada"}`},
		{"new fields come last, in the patch's order", `{"firstName":"Ada"}`, `{"phone":"1","email":"a@x.org"}`, `{"firstName":"Ada","phone":"1","email":"a@x.org"}`},
		{"objects merge", `{"address":{"city":"London","zip":"N1"}}`, `{"address":{"zip":"E2"}}`, `{"address":{"city":"London","zip":"E2"}}`},
		{"null deletes inside objects", `{"address":{"city":"London","zip":"N1"}}`, `{"address":{"zip":null}}`, `{"address":{"city":"London"}}`},
		{"an object replaces a scalar", `{"address":"London"}`, `{"address":{"city":"London","zip":null}}`, `{"address":{"city":"London"}}`},
		{"arrays are replaced whole", `{"tags":["new","paid"]}`, `{"tags":["paid"]}`, `{"tags":["paid"]}`},
		{"null inside an array is a value", `{"tags":["new"]}`, `{"tags":[null]}`, `{"tags":[null]}`},
		{"numbers keep their text", `{"balance":1.10}`, `{"limit":1e400}`, `{"balance":1.10,"limit":1e400}`},
		{"a dot in a name is only a dot", `{"a":{"b":1}}`, `{"a.b":2}`, `{"a":{"b":1},"a.b":2}`},
		{"an empty patch changes nothing", `{"firstName":"Ada"}`, `{}`, `{"firstName":"Ada"}`},
		{"no document yet", ``, `{"firstName":"Ada","email":null}`, `{"firstName":"Ada"}`},
	} {
		t.Run(rule.name, func(t *testing.T) {
			got, err := merge.Patch([]byte(rule.document), []byte(rule.patch))
			require.NoError(t, err)
			assert.Equal(t, rule.want, string(got))

			again, err := merge.Patch(got, []byte(rule.patch))
			require.NoError(t, err)
			assert.Equal(t, rule.want, string(again), "the same patch once more")
		})
	}
}
