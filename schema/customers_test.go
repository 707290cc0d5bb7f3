package schema

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCustomers(t *testing.T) {
	s := Customers()
	assert.Same(t, s, Customers())
	assert.Equal(t, "customers", s.Name())
	assert.Equal(t, uuid.MustParse("6caaf7d9-0467-5c07-afa4-90718629419f"), s.ID())
	assert.Equal(t, uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:resourcekit:schema:customers")), s.ID())
	assert.Equal(t, []Field{
		{Name: "customerId", Type: String, Required: true, PII: "EXTERNAL_ID"},
		{Name: "email", Type: String, PII: "EMAIL"},
		{Name: "phone", Type: String, PII: "PHONE"},
		{Name: "firstName", Type: String, Required: true, PII: "FIRST_NAME"},
		{Name: "lastName", Type: String, Required: true, PII: "LAST_NAME"},
		{Name: "emailOptOut", Type: Boolean, Default: false, Description: "Email subscription opt-out status. Defaults to false (opted in)"},
		{Name: "smsOptOut", Type: Boolean, Default: true, Description: "SMS subscription opt-out status. Defaults to true (opted out)"},
		{Name: "customerDetailUrl", Type: String, Description: "URL to click-out to the customer detail page"},
		{Name: "createdAt", Type: String, Format: dateTime, Required: true},
	}, s.Definition().Fields)
}

func TestCustomersRules(t *testing.T) {
	const ada = `{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-05-01T09:30:00Z"}`
	s := Customers()
	require.NoError(t, s.Validate([]byte(ada)))
	doc, err := write(s, "", ada, nil)
	require.NoError(t, err)
	assert.Equal(t, ada[:len(ada)-1]+`,"emailOptOut":false,"smsOptOut":true}`, string(doc.Stored))
	assert.Equal(t, string(doc.Stored), string(doc.Shown))
	// Consent given, and then reset by null.
	doc, err = write(s, string(doc.Stored), `{"smsOptOut":false}`, nil)
	require.NoError(t, err)
	assert.Contains(t, string(doc.Stored), `"smsOptOut":false`)
	doc, err = write(s, string(doc.Stored), `{"smsOptOut":null}`, nil)
	require.NoError(t, err)
	assert.Contains(t, string(doc.Stored), `"smsOptOut":true`)
	// email has no format.
	_, err = write(s, ada, `{"email":"not an address"}`, nil)
	assert.NoError(t, err)
	assert.Equal(t, []string{"/createdAt format", "/customerId required", "/firstName required", "/lastName required"},
		lines(t, s.Validate([]byte(`{"createdAt":"2023-02-30T00:00:00Z"}`))))
}
