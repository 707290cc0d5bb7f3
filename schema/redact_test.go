package schema

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRedact(t *testing.T) {
	s := MustCompile(Definition{
		ID: uuid.MustParse("7b000000-0000-4000-8000-0000000000ff"), Name: "things", ExternalID: "id",
		Fields: []Field{
			{Name: "id", Type: String, Required: true, PII: "EXTERNAL_ID"},
			{Name: "state", Type: String},
			{Name: "score", Type: Number},
			{Name: "name", Type: Object, PII: "NAME", Fields: []Field{{Name: "first", Type: String}}},
			{Name: "shipTo", Type: Object, Fields: []Field{{Name: "city", Type: String}, {Name: "phone", Type: String, PII: "PHONE"}}},
			{Name: "open", Type: Object},
			{Name: "tags", Type: Array},
			{Name: "emails", Type: Array, Items: &Field{Type: String, PII: "EMAIL"}},
			{Name: "lines", Type: Array, Items: &Field{Type: Object, Fields: []Field{{Name: "sku", Type: String}, {Name: "for", Type: String, PII: "NAME"}}}},
		},
	})
	const r = `"[redacted]"`
	for _, tt := range []struct{ name, in, want string }{
		{"empty", `{}`, `{}`},
		{"marked", `{"id":"1"}`, `{"id":` + r + `}`},
		{"not marked", `{"state":"\u006fpen","score":1.50}`, `{"state":"\u006fpen","score":1.50}`},
		{"marked, of any kind", `{"id":{"x":[1]}}`, `{"id":` + r + `}`},
		{"deleted", `{"id":null,"state":null,"shoeSize":null,"shipTo":{"phone":null},"emails":[null]}`, `{"id":null,"state":null,"shoeSize":null,"shipTo":{"phone":null},"emails":[null]}`},
		{"not declared", `{"shoeSize":44,"x":{"y":1}}`, `{"shoeSize":` + r + `,"x":` + r + `}`},
		{"marked object", `{"name":{"first":"Ada"}}`, `{"name":` + r + `}`},
		{"inside an object", `{"shipTo":{"city":"Bern","phone":"1","zip":"3000"}}`, `{"shipTo":{"city":"Bern","phone":` + r + `,"zip":` + r + `}}`},
		{"open object", `{"open":{"phone":"1"}}`, `{"open":{"phone":"1"}}`},
		{"array of anything", `{"tags":[{"phone":"1"},2]}`, `{"tags":[{"phone":"1"},2]}`},
		{"marked elements", `{"emails":["a","b"]}`, `{"emails":[` + r + `,` + r + `]}`},
		{"elements with marks", `{"lines":[{"sku":"s","for":"Ada"},{},7]}`, `{"lines":[{"sku":"s","for":` + r + `},{},` + r + `]}`},
		{"another kind than declared", `{"shipTo":["x"],"lines":{"sku":"s"}}`, `{"shipTo":` + r + `,"lines":` + r + `}`},
		{"another kind, of a plain field", `{"state":7,"score":"a@example.com","open":"bob","tags":"x"}`, `{"state":` + r + `,"score":` + r + `,"open":` + r + `,"tags":` + r + `}`},
		{"an object for a string", `{"state":{"email":"a@example.com"}}`, `{"state":` + r + `}`},
		{"escaped name", `{"\u0069d":"1"}`, `{"\u0069d":` + r + `}`},
		{"blanks", " { \"id\" : \"1\" , \"tags\" : [ 1 , 2 ] } ", `{"id":` + r + `,"tags":[1,2]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Redact([]byte(tt.in))
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
			again, err := s.Redact(got)
			require.NoError(t, err)
			assert.Equal(t, string(got), string(again))
		})
	}
	_, err := s.Redact([]byte(`[]`))
	var corrupt *CorruptError
	assert.ErrorAs(t, err, &corrupt)
}
