package schema

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLocations(t *testing.T) {
	s := Locations()
	assert.Same(t, s, Locations())
	assert.Equal(t, "locations", s.Name())
	assert.Equal(t, "locationId", s.Definition().ExternalID)
	assert.Equal(t, uuid.MustParse("62796c9c-ff8e-5c79-bdd5-5e3ac2b3dac0"), s.ID())
	assert.Equal(t, uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:resourcekit:schema:locations")), s.ID())
	assert.Equal(t, []Field{
		{Name: "locationId", Type: String, Required: true},
		{Name: "name", Type: String, Required: true},
		{Name: "address", Type: String, Required: true},
		{Name: "city", Type: String, Required: true},
		{Name: "state", Type: String, Required: true},
		{Name: "zipCode", Type: String, Required: true},
		{Name: "address2", Type: String},
		{Name: "address3", Type: String},
	}, s.Definition().Fields)
}

func TestTransactions(t *testing.T) {
	s := Transactions()
	assert.Same(t, s, Transactions())
	assert.Equal(t, "transactions", s.Name())
	assert.Equal(t, "transactionId", s.Definition().ExternalID)
	assert.Equal(t, uuid.MustParse("957e4af7-d723-5f29-9c14-ece2d17e93b3"), s.ID())
	assert.Equal(t, uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:resourcekit:schema:transactions")), s.ID())
	assert.Equal(t, []Field{
		{Name: "transactionId", Type: String, Required: true},
		{Name: "customerId", Type: String, PII: "EXTERNAL_ID"},
		{Name: "locationId", Type: String},
		{Name: "transactionDate", Type: String, Format: dateTime, Required: true},
		{Name: "transactionTotal", Type: Number, Required: true},
		{Name: "transactionDetailUrl", Type: String},
	}, s.Definition().Fields)
}

// TestBuiltInSchemasDiffer: stored resources of one are never those of another.
func TestBuiltInSchemasDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range []*Schema{Customers(), Locations(), Transactions()} {
		assert.False(t, seen[s.Name()] || seen[s.ID().String()])
		seen[s.Name()], seen[s.ID().String()] = true, true
	}
}

func TestLocationsRules(t *testing.T) {
	s := Locations()
	require.NoError(t, s.Validate([]byte(`{"locationId":"l-1","name":"","address":"","city":"","state":"","zipCode":"01234"}`)))
	assert.Equal(t, []string{
		"/zipCode type", "/address2 type",
		"/locationId required", "/name required", "/address required", "/city required", "/state required",
	}, lines(t, s.Validate([]byte(`{"zipCode":1234,"address2":{}}`))))
}

func TestTransactionsRules(t *testing.T) {
	const sale = `{"transactionId":"t-1","transactionDate":"2024-05-01T09:30:00Z","transactionTotal":12.50}`
	s := Transactions()
	require.NoError(t, s.Validate([]byte(sale)))
	doc, err := write(s, "", sale, nil)
	require.NoError(t, err)
	assert.Equal(t, sale, string(doc.Stored), "no defaults, and the number as it is")
	// What it names need not exist, and a reference can be taken back.
	doc, err = write(s, sale, `{"customerId":"nobody","locationId":"nowhere"}`, nil)
	require.NoError(t, err)
	doc, err = write(s, string(doc.Stored), `{"customerId":null,"locationId":null}`, nil)
	require.NoError(t, err)
	assert.Equal(t, sale, string(doc.Stored))
	assert.Equal(t, []string{
		"/transactionTotal type", "/transactionDate format", "/customerId type", "/transactionId required",
	}, lines(t, s.Validate([]byte(`{"transactionTotal":"12.50","transactionDate":"yesterday","customerId":7}`))))
}
