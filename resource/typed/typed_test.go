package typed_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/typed"
	"example.com/resourcekit/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTypedStructsAreTheSchemas holds each struct against the schema that it is
// named after: the same fields in the same order, of types that fit, none of
// which can be sent by accident.
func TestTypedStructsAreTheSchemas(t *testing.T) {
	for _, tt := range []struct {
		schema *schema.Schema
		typ    reflect.Type
	}{
		{schema.Customers(), reflect.TypeFor[typed.Customer]()},
		{schema.Locations(), reflect.TypeFor[typed.Location]()},
		{schema.Transactions(), reflect.TypeFor[typed.Transaction]()},
	} {
		def := tt.schema.Definition()
		require.Equal(t, len(def.Fields), tt.typ.NumField(), def.Name)
		for i, f := range def.Fields {
			got := tt.typ.Field(i)
			assert.Equal(t, f.Name+",omitzero", got.Tag.Get("json"), "%s.%s", tt.typ.Name(), got.Name)
			want := map[schema.Type]string{schema.String: "string", schema.Boolean: "bool", schema.Number: "encoding/json.Number"}[f.Type]
			if f.Format == "date-time" {
				want = "example.com/resourcekit/resource/typed.Timestamp"
			}
			name := strings.TrimSuffix(strings.TrimPrefix(got.Type.Name(), "Opt["), "]")
			assert.Equal(t, want, name, "%s.%s", tt.typ.Name(), got.Name)
			assert.Equal(t, f.Name != def.ExternalID, strings.HasPrefix(got.Type.Name(), "Opt["))
		}
		none, err := typed.Encode(reflect.Zero(tt.typ).Interface())
		require.NoError(t, err)
		assert.Equal(t, "{}", string(none), "what is not set is not sent")
	}
}

func TestTypedRoundTrip(t *testing.T) {
	c := open(t, schema.Customers())
	ada := typed.Customer{
		CustomerID: "c-1",
		FirstName:  typed.Set("Ada <&> \u2028 \\ufffd \ufffd"), LastName: typed.Set(""),
		EmailOptOut: typed.Set(false),
		CreatedAt:   typed.Set(typed.Timestamp("2024-05-01t10:00:00.120+02:00")),
	}
	text, err := typed.Encode(ada)
	require.NoError(t, err)
	res, err := c.Create(ctx, tenant, text, nil)
	require.NoError(t, err)
	got, err := typed.Decode[typed.Customer](&res.Resource)
	require.NoError(t, err)
	ada.SMSOptOut = typed.Set(true) // the default
	assert.Equal(t, ada, got)

	// A patch holds what is set, and a deletion is explicit.
	text, err = typed.Encode(typed.Customer{Phone: typed.Set("1"), SMSOptOut: typed.Set(false)})
	require.NoError(t, err)
	assert.Equal(t, `{"phone":"1","smsOptOut":false}`, string(text))
	res, err = c.Patch(ctx, tenant, "c-1", text, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"/smsOptOut", "/phone"}, res.Changed())
	text, err = typed.Encode(typed.Customer{Phone: typed.Null[string](), SMSOptOut: typed.Null[bool]()})
	require.NoError(t, err)
	assert.Equal(t, `{"phone":null,"smsOptOut":null}`, string(text))
	res, err = c.Patch(ctx, tenant, "c-1", text, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"/phone"}, res.Removed())
	got, err = typed.Decode[typed.Customer](&res.Resource)
	require.NoError(t, err)
	assert.Equal(t, ada, got)

	// What was decoded can be sent back as it is: nothing changes.
	text, err = typed.Encode(got)
	require.NoError(t, err)
	res, err = c.Create(ctx, tenant, text, nil)
	require.NoError(t, err)
	assert.Equal(t, resource.Unchanged, res.Outcome)
}

// TestTypedNumbers: no number goes through a float on its way.
func TestTypedNumbers(t *testing.T) {
	c := open(t, schema.Transactions())
	const total = "12345678901234567890.1234567890"
	res := create(t, c, `{"transactionId":"t-1","transactionDate":"2024-05-01T10:00:00Z","transactionTotal":`+total+`}`)
	got, err := typed.Decode[typed.Transaction](&res.Resource)
	require.NoError(t, err)
	assert.Equal(t, json.Number(total), got.TransactionTotal.Or(""))
	text, err := typed.Encode(got)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"transactionTotal":`+total)

	s := things(object("free"), array("list"), number("n"))
	things := open(t, s)
	res = create(t, things, `{"id":"1","free":{"a":1e400,"b":[1.0,-0]},"list":[123456789012345678901234567890],"n":1.50}`)
	loose, err := typed.Decode[map[string]any](&res.Resource)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"id": "1", "free": map[string]any{"a": json.Number("1e400"), "b": []any{json.Number("1.0"), json.Number("-0")}},
		"list": []any{json.Number("123456789012345678901234567890")}, "n": json.Number("1.50"),
	}, loose)
	typed, err := typed.Decode[struct {
		Free typed.Opt[map[string]any] `json:"free,omitzero"`
		List typed.Opt[[]any]          `json:"list,omitzero"`
	}](&res.Resource)
	require.NoError(t, err)
	assert.Equal(t, loose["free"], typed.Free.Or(nil))
	assert.Equal(t, loose["list"], typed.List.Or(nil))
}

func TestOpt(t *testing.T) {
	var unset typed.Opt[string]
	null, value, empty := typed.Null[string](), typed.Set("x"), typed.Set("")
	for _, tt := range []struct {
		opt          typed.Opt[string]
		isZero, null bool
		has          bool
		value, or    string
	}{
		{unset, true, false, false, "", "other"},
		{null, false, true, false, "", "other"},
		{value, false, false, true, "x", "x"},
		{empty, false, false, true, "", ""},
	} {
		got, has := tt.opt.Get()
		assert.Equal(t, tt.value, got)
		assert.Equal(t, tt.has, has)
		assert.Equal(t, tt.isZero, tt.opt.IsZero())
		assert.Equal(t, tt.null, tt.opt.IsNull())
		assert.Equal(t, tt.or, tt.opt.Or("other"))
	}
	// Without omitzero a field that is not set would be sent as null, and so
	// delete.
	_, err := typed.Encode(struct{ Email typed.Opt[string] }{})
	assert.ErrorContains(t, err, "omitzero")
}

func TestTypedErrors(t *testing.T) {
	c := open(t, schema.Customers())
	res := create(t, c, cust(`,"email":"`+marker+`"`))
	_, err := typed.Decode[struct {
		Email int `json:"email"`
	}](&res.Resource)
	assert.EqualError(t, err, `typed: cannot decode "/email": the string does not fit its Go type`)
	_, err = typed.Decode[[]string](&res.Resource)
	assert.Error(t, err)
	for name, bad := range map[string]any{
		"invalid UTF-8":     typed.Customer{FirstName: typed.Set(marker + "\xff")},
		"in a name":         map[string]any{marker + "\xff": 1},
		"behind an escape":  map[string]any{"a": `\` + "\xff" + marker},
		"no JSON":           map[string]any{"a": func() {}},
		"not a number":      typed.Transaction{TransactionTotal: typed.Set(json.Number(marker))},
		"raw, and not JSON": map[string]any{"a": json.RawMessage(`{` + marker)},
	} {
		_, err := typed.Encode(bad)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), marker, name)
	}
	_, err = typed.Timestamp(marker).Time()
	require.Error(t, err)
	assert.NotContains(t, err.Error(), marker)
	when := time.Date(2024, 5, 1, 10, 0, 0, 120_000_000, time.FixedZone("", 7200))
	assert.Equal(t, typed.Timestamp("2024-05-01T10:00:00.12+02:00"), typed.TimestampOf(when))
	back, err := typed.TimestampOf(when).Time()
	require.NoError(t, err)
	assert.True(t, when.Equal(back))
	when = time.Date(1890, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", -(4*3600+56*60+2)))
	assert.Equal(t, typed.Timestamp("1890-01-01T04:56:02Z"), typed.TimestampOf(when))
}

// TestSetNothing: a value that would arrive as null, or as a number that nobody has
// set, is an error and no deletion.
func TestSetNothing(t *testing.T) {
	for name, document := range map[string]any{
		"nil slice":    struct{ V typed.Opt[[]string] }{typed.Set([]string(nil))},
		"nil map":      struct{ V typed.Opt[map[string]int] }{typed.Set(map[string]int(nil))},
		"nil pointer":  struct{ V typed.Opt[*int] }{typed.Set((*int)(nil))},
		"raw null":     struct{ V typed.Opt[json.RawMessage] }{typed.Set(json.RawMessage("null"))},
		"empty number": struct{ V typed.Opt[json.Number] }{typed.Set(json.Number(""))},
		"nested":       struct{ L []typed.Opt[[]string] }{[]typed.Opt[[]string]{typed.Set([]string(nil))}},
	} {
		text, err := typed.Encode(document)
		assert.ErrorContains(t, err, "expected Null", name)
		assert.Nil(t, text, name)
	}
	text, err := typed.Encode(struct {
		S typed.Opt[[]string]
		N typed.Opt[json.Number]
	}{typed.Set([]string{}), typed.Set(json.Number("0"))})
	require.NoError(t, err)
	assert.Equal(t, `{"S":[],"N":0}`, string(text))
}

// TestEncodeWrongType: what the program cannot encode is named by its Go type.
func TestEncodeWrongType(t *testing.T) {
	_, err := typed.Encode(struct{ C chan int }{})
	assert.EqualError(t, err, "typed: cannot encode the Go type chan int")
}
