package httpapi_test

import (
	"fmt"
	"testing"

	"example.com/resourcekit/resource/httpapi"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDamaged: a damaged record costs a list nothing but itself, every other answer
// about it is a 500, OnError is told each time which record it is, and DELETE works.
func TestDamaged(t *testing.T) {
	s := newService(t, &httpapi.Options{AllowScans: true})
	for _, id := range []string{"c-1", "c-3"} {
		s.put(t, acme, `{"customerId":"`+id+`","firstName":"Ada","lastName":"L","email":"e","createdAt":"2024-01-02T03:04:05Z"}`)
	}
	for i, data := range []string{"", "[]", `{"customerId":"c-2-secret","email":"` + marker} {
		id := fmt.Sprintf("c-2-secret-%d", i)
		rec := s.keep(t, acme, id, data)
		// answered returns the answer, of which OnError is told so many times.
		answered := func(m message, times int) answer {
			t.Helper()
			before := len(s.errors())
			a := serve(t, s.handler, m).answer // of a document that is lost, the contract cannot be kept
			errs := s.errors()[before:]
			require.Len(t, errs, times)
			for _, err := range errs {
				assert.Equal(t, 500, httpapi.ProblemOf(err).Status)
				assert.Contains(t, err.Error(), rec.ID.String())
				assert.NotContains(t, err.Error(), "secret")
			}
			return a
		}
		for _, query := range []string{"", "?filter%5BlastName%5D=L", "?limit=3"} {
			a := answered(list(query), 1)
			assert.Equal(t, 200, a.status, query)
			assert.Contains(t, a.body, `"resourceExternalId":"c-1"`)
			assert.Contains(t, a.body, `"resourceExternalId":"c-3"`)
			assert.NotContains(t, a.body, "secret")
			assert.Contains(t, a.body, `"total":null`, "what is left out is not counted")
		}
		for _, m := range []message{
			get(id), get(id).as("HEAD", ""), get(id).as("PATCH", `{"data":{}}`), post("", customer(id, "")),
		} {
			assert.Equal(t, 500, answered(m, 1).status, m.method)
		}
		assert.Equal(t, 412, s.direct(t, get(id, `If-Match: "x"`).as("DELETE", "")).status)
		a := answered(get(id, "If-Match: "+tagFor(rec.Revision)).as("DELETE", ""), 0)
		assert.Equal(t, 200, a.status)
		assert.Contains(t, a.body, rec.ID.String())
		assert.Contains(t, a.body, `"data":{}`)
		assert.Equal(t, 404, s.direct(t, get(id)).status)
	}
}
