package schema

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSuggest(t *testing.T) {
	fields := Customers().root.fields
	for _, tt := range []struct{ name, want string }{
		{"Email", "email"},
		{"e_mail", "email"},
		{"first_name", "firstName"},
		{"FIRST-NAME", "firstName"},
		{"firstname", "firstName"},
		{"first name", "firstName"},
		{"emial", "email"},
		{"emai", "email"},
		{"phnoe", "phone"},
		{"fristName", "firstName"},
		{"lastNmae", "lastName"},
		{"custmerId", "customerId"},
		{"customer_ID", "customerId"},
		{"smsOptout", "smsOptOut"},
		{"email_opt_out", "emailOptOut"},
		{"customerDetailURL", "customerDetailUrl"},
		{"custmrDetailUlr", "customerDetailUrl"},
		{"create_at", "createdAt"},
		{"", ""},
		{"_", ""},
		{"a", ""},
		{"id", ""},
		{"name", ""},
		{"city", ""},
		{"address", ""},
		{"mobile", ""},
		{"eeemmm", ""},
		{"surname", ""},
		{strings.Repeat("email", 13), ""},
		{strings.Repeat("x", 1<<20), ""},
		{"\xff\xfe", ""},
	} {
		assert.Equal(t, tt.want, suggest(fields, []byte(tt.name)), "%.40q", tt.name)
	}
	// Letters before separators, then the first of the schema.
	twins := []field{{name: "abcd"}, {name: "abce"}, {name: "AB_CF"}}
	assert.Equal(t, "abcd", suggest(twins, []byte("abcx")))
	assert.Equal(t, "AB_CF", suggest(twins, []byte("abcf")))
}
