package httpapi

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExternalID: of the path or, if that is a dash, of the query.
func TestExternalID(t *testing.T) {
	for _, tc := range []struct{ name, path, query, want string }{
		{"path", "c-1", "", "c-1"},
		{"path wins", "c-1", "externalId=x", "c-1"},
		{"path, query that is none", "c-1", ";%", "c-1"},
		{"dash", "-", "", "-"},
		{"dash, parameter", "-", "externalId=..", ".."},
		{"dash, dash", "-", "externalId=-", "-"},
		{"dash, plus is a blank", "-", "externalId=a+b%2Bc", "a b+c"},
		{"dash, other parameter", "-", "externalid=x", "-"},
		{"two dashes", "--", "externalId=x", "--"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/anything", nil)
			r.URL.RawQuery = tc.query
			r.SetPathValue("externalId", tc.path)
			got, err := externalID(r)
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
	empty := httptest.NewRequest("GET", "/anything?externalId=", nil)
	empty.SetPathValue("externalId", "-")
	id, err := externalID(empty)
	assert.Empty(t, id)
	assert.Equal(t, 400, ProblemOf(err).Status)
	_, err = externalID(httptest.NewRequest("GET", "/anything?externalId=x", nil))
	assert.Equal(t, 500, ProblemOf(err).Status, "a route without the wildcard")
	for _, query := range []string{"externalId=a&externalId=a", "externalId=%", "a;b"} {
		r := httptest.NewRequest("GET", "/anything", nil)
		r.SetPathValue("externalId", "-")
		r.URL.RawQuery = query
		_, err := externalID(r)
		assert.Equal(t, 400, ProblemOf(err).Status, query)
	}
}
