package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDocs compares the functions in docs/http.md with those in this package.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	require.NoError(t, err)
	source, err := os.ReadFile("handlers.go")
	require.NoError(t, err)
	functions := strings.Split(string(source), "\nfunc ")[1:]
	require.Len(t, functions, 3)
	for _, f := range functions {
		f, _, _ = strings.Cut(f, "\n}\n")
		assert.Contains(t, string(page), "\nfunc "+f+"\n}\n")
	}
}

// TestDocsAnswer compares the members of the answer in docs/http.md with those of a
// real one.
func TestDocsAnswer(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	require.NoError(t, err)
	_, shown, _ := strings.Cut(string(page), "```json\n")
	shown, _, _ = strings.Cut(shown, "```")
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	acme := storage.TenantOf("my-platform", "acme")
	api, err := NewAPI(customers, NewHooks(map[string]httpapi.Principal{"": {Tenant: acme}}, nil))
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	api.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/api/resources/customers", strings.NewReader(body)))
	require.Equal(t, http.StatusOK, answer.Code)
	member := regexp.MustCompile(`"(\w+)":`)
	assert.Equal(t, member.FindAllStringSubmatch(answer.Body.String(), -1), member.FindAllStringSubmatch(shown, -1))
}

const body = `{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}`

func TestHandlers(t *testing.T) {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	acme, globex := storage.TenantOf("my-platform", "acme"), storage.TenantOf("my-platform", "globex")
	hooks := NewHooks(
		map[string]httpapi.Principal{
			"Bearer acme":     {Tenant: acme},
			"Bearer platform": {Tenant: storage.Tenant{Platform: acme.Platform}},
		},
		map[string]storage.Tenant{"acme": acme, "globex": globex})
	api, err := NewAPI(customers, hooks)
	require.NoError(t, err)

	for _, h := range []http.Handler{api, CreateCustomer(customers, hooks)} {
		server := httptest.NewServer(h)
		for _, tt := range []struct {
			name, token, tenant string
			want                int
		}{
			{"its own tenant", "Bearer acme", "", 200},
			{"its own tenant by name", "Bearer acme", "acme", 200},
			{"another tenant", "Bearer acme", "globex", 404},
			{"a tenant of the platform", "Bearer platform", "globex", 200},
			{"an unknown tenant", "Bearer platform", "initech", 404},
			{"no tenant", "Bearer platform", "", 404},
			{"no token", "", "", 401},
		} {
			r, err := http.NewRequest(http.MethodPost, server.URL+"/api/resources/customers", strings.NewReader(body))
			require.NoError(t, err)
			r.Header.Set("Authorization", tt.token)
			if tt.tenant != "" {
				r.Header.Set(httpapi.TenantHeader, tt.tenant)
			}
			res, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			answer, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, tt.want, res.StatusCode, "%s: %s", tt.name, answer)
		}
		server.Close()
	}
}
