package resource_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A want is what a create must come to: a document, or violations, or an error.
type want struct {
	outcome                   resource.Outcome
	stored, shown             string // shown "" is like stored
	changed, removed, dropped []string

	violations []string // "pointer code"
	syntax     bool
	exists     bool
	corrupt    bool
}

func created(stored string) want   { return want{outcome: resource.Created, stored: stored} }
func unchanged(stored string) want { return want{outcome: resource.Unchanged, stored: stored} }
func updated(stored string, changed ...string) want {
	return want{outcome: resource.Updated, stored: stored, changed: changed}
}
func (w want) remove(pointers ...string) want { w.removed = pointers; return w }
func (w want) drop(pointers ...string) want   { w.dropped = pointers; return w }
func (w want) shows(shown string) want        { w.shown = shown; return w }

func invalid(violations ...string) want { return want{violations: violations} }

var (
	notStrict = want{syntax: true}
	exists    = want{exists: true}
	corrupt   = want{corrupt: true}
)

// The options of the rows.
var (
	reject      = resource.WriteOptions{RejectExisting: true}
	ignore      = resource.WriteOptions{UnknownFields: schema.IgnoreUnknown}
	rejectNulls = resource.WriteOptions{Nulls: schema.RejectNulls}
	ignoreNulls = resource.WriteOptions{Nulls: schema.IgnoreNulls}
	complete    = resource.WriteOptions{RequireComplete: true}
	lenient     = resource.WriteOptions{UnknownFields: schema.IgnoreUnknown, Nulls: schema.IgnoreNulls}
	noOptions   resource.WriteOptions
)

// The schemas of the rows.
var (
	empty  = things()
	person = things(
		object("name", required(str("first")), str("last"), dateTime("since"), object("initials", required(str("f")))),
		object("free"),
		array("tags", str("")), array("any"),
		array("phones", object("", required(str("number")), boolean("main"))),
		number("score"), integer("age"), enum(str("tier"), "gold", "silver"), enum(integer("level"), 1, 2),
		defaulted(boolean("vip"), false),
		object("prefs", defaulted(str("lang"), "en"), str("tz")),
	)
	strictPerson = things(required(str("email")), object("name", required(str("first")), required(str("last"))), enum(str("tier"), "gold"), boolean("vip"))
	twoDefaults  = things(defaulted(str("a"), "x"), defaulted(str("b"), "y"), str("c"))
)

// p is the text of thing 1 with more members at its end.
func p(more string) string { return `{"id":"1"` + more + `}` }

// vip is the default of person as it is filled in.
const vip = `,"vip":false`

// rules is the table of what a create does: each row is applied by TestCreate
// and seeds the fuzz targets. Documents are exact texts. stored is put into the
// store as it is, as an earlier version or another program may have written it.
var rules = []struct {
	name    string
	schema  *schema.Schema // nil: Customers
	stored  string         // "": nothing
	request string
	opts    resource.WriteOptions
	want    want
}{
	{"identity/created", nil, ``, cust(``), noOptions, created(cust(outs))},
	{"identity/missing", nil, ``, `{"firstName":"A","lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`, noOptions, invalid("/customerId required")},
	{"identity/null", nil, ``, `{"customerId":null,"firstName":"A","lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`, noOptions, invalid("/customerId required")},
	{"identity/ignored null is missing", empty, ``, `{"id":null}`, ignoreNulls, invalid("/id required")},
	{"identity/a number", empty, ``, `{"id":1}`, noOptions, invalid("/id type")},
	{"identity/empty", empty, ``, `{"id":""}`, noOptions, invalid("/id external_id")},
	{"identity/NUL", empty, ``, `{"id":"a\u0000b"}`, noOptions, invalid("/id external_id")},
	{"identity/512 bytes", empty, ``, `{"id":"` + strings.Repeat("é", 256) + `"}`, noOptions, created(`{"id":"` + strings.Repeat("é", 256) + `"}`)},
	{"identity/513 bytes", empty, ``, `{"id":"` + strings.Repeat("é", 256) + `x"}`, noOptions, invalid("/id external_id")},
	{"identity/512 bytes after decoding", empty, ``, `{"id":"` + strings.Repeat(`\u0061`, 512) + `"}`, noOptions, created(`{"id":"` + strings.Repeat(`\u0061`, 512) + `"}`)},
	{"identity/escapes are decoded", nil, cust(outs), `{"customerId":"\u0063-\u0031","email":"e"}`, noOptions, updated(cust(outs+`,"email":"e"`), "/email")},
	{"identity/case counts", nil, cust(outs), strings.Replace(cust(``), "c-1", "C-1", 1), noOptions, created(strings.Replace(cust(outs), "c-1", "C-1", 1))},
	{"identity/blanks count", nil, cust(outs), strings.Replace(cust(``), "c-1", "c-1 ", 1), noOptions, created(strings.Replace(cust(outs), "c-1", "c-1 ", 1))},
	{"identity/composed and decomposed differ", empty, "{\"id\":\"\u00e9\"}", "{\"id\":\"e\u0301\"}", noOptions, created("{\"id\":\"e\u0301\"}")},
	{"identity/bad, and everything else that is wrong", nil, ``, `{"customerId":"","email":1}`, noOptions, invalid("/customerId external_id", "/email type", "/firstName required", "/lastName required", "/createdAt required")},

	{"strict JSON/empty", empty, ``, ``, noOptions, notStrict},
	{"strict JSON/trailing data", empty, ``, `{"id":"1"} x`, noOptions, notStrict},
	{"strict JSON/two documents", empty, ``, `{"id":"1"}{}`, noOptions, notStrict},
	{"strict JSON/duplicate name", empty, p(``), `{"id":"1","id":"1"}`, noOptions, notStrict},
	{"strict JSON/duplicate name, escaped", empty, p(``), `{"id":"1","i\u0064":"1"}`, noOptions, notStrict},
	{"strict JSON/duplicate name, deep", person, p(``), `{"id":"1","free":{"a":[{"b":1,"\u0062":2}]}}`, noOptions, notStrict},
	{"strict JSON/duplicate unknown name, ignored", empty, p(``), `{"id":"1","x":1,"x":2}`, ignore, notStrict},
	{"strict JSON/invalid UTF-8", empty, ``, "{\"id\":\"\xff\"}", noOptions, notStrict},
	{"strict JSON/overlong UTF-8", empty, ``, "{\"id\":\"\xc0\xaf\"}", noOptions, notStrict},
	{"strict JSON/surrogate as UTF-8", empty, ``, "{\"id\":\"\xed\xa0\x80\"}", noOptions, notStrict},
	{"strict JSON/lone surrogate", empty, ``, `{"id":"\ud800"}`, noOptions, notStrict},
	{"strict JSON/lone low surrogate", empty, ``, `{"id":"\udc00x"}`, noOptions, notStrict},
	{"strict JSON/byte order mark", empty, ``, "\ufeff{\"id\":\"1\"}", noOptions, notStrict},
	{"strict JSON/comment", empty, ``, `{"id":"1"/**/}`, noOptions, notStrict},
	{"strict JSON/trailing comma", empty, ``, `{"id":"1",}`, noOptions, notStrict},
	{"strict JSON/single quotes", empty, ``, `{'id':'1'}`, noOptions, notStrict},
	{"strict JSON/NaN", person, ``, `{"id":"1","score":NaN}`, noOptions, notStrict},
	{"strict JSON/leading zero", person, ``, `{"id":"1","score":01}`, noOptions, notStrict},
	{"strict JSON/control character", empty, ``, "{\"id\":\"a\tb\"}", noOptions, notStrict},
	{"strict JSON/64 levels", person, ``, p(`,"free":{"a":` + strings.Repeat("[", 62) + strings.Repeat("]", 62) + `}`), noOptions, created(p(`,"free":{"a":` + strings.Repeat("[", 62) + strings.Repeat("]", 62) + `}` + vip))},
	{"strict JSON/65 levels", person, ``, p(`,"free":{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`), noOptions, notStrict},
	{"strict JSON/an array", empty, ``, `[{"id":"1"}]`, noOptions, invalid(" type")},
	{"strict JSON/a string", empty, ``, `"id"`, noOptions, invalid(" type")},
	{"strict JSON/null", empty, ``, `null`, noOptions, invalid(" type")},
	{"strict JSON/blanks are left out", nil, ``, " {\n\"customerId\" : \"c-1\" ,\t\"firstName\":\" A \",\"lastName\":\"B\",\"createdAt\":\"2024-05-01T10:00:00Z\" } \r\n", noOptions, created(`{"customerId":"c-1","firstName":" A ","lastName":"B","createdAt":"2024-05-01T10:00:00Z"` + outs + `}`)},
	{"strict JSON/noncharacters are let through", empty, ``, `{"id":"x\uffff"}`, noOptions, created(`{"id":"x\uffff"}`)},

	{"exactness/numbers keep their text", person, ``, p(`,"vip":true,"any":[1e400,1.0,-0,123456789012345678901234567890,1E+2]`), noOptions, created(p(`,"vip":true,"any":[1e400,1.0,-0,123456789012345678901234567890,1E+2]`))},
	{"exactness/stored numbers keep their text", person, p(`,"score":1e400,"age":100.0,"vip":true`), p(`,"tier":"gold"`), noOptions, updated(p(`,"score":1e400,"age":100.0,"vip":true,"tier":"gold"`), "/tier")},
	{"exactness/another text is another number", person, p(`,"score":1.0,"vip":true`), p(`,"score":1`), noOptions, updated(p(`,"score":1,"vip":true`), "/score")},
	{"exactness/a huge exponent costs nothing", person, ``, p(`,"score":1e999999999,"age":1e999999999,"vip":true`), noOptions, created(p(`,"score":1e999999999,"age":1e999999999,"vip":true`))},
	{"exactness/strings keep their escapes", nil, ``, cust(`,"email":"\u00e9\/<&>"`), noOptions, created(cust(`,"email":"\u00e9\/<&>"` + outs))},
	{"exactness/an equal string keeps the stored escapes", nil, cust(`,"email":"\u00e9"` + outs), `{"customerId":"c-1","email":"é"}`, noOptions, unchanged(cust(`,"email":"\u00e9"` + outs))},
	{"exactness/members keep their order", nil, `{"createdAt":"2024-05-01T10:00:00Z","smsOptOut":true,"lastName":"B","emailOptOut":false,"firstName":"A","customerId":"c-1"}`, `{"customerId":"c-1","firstName":"Z","lastName":"Y"}`, noOptions, updated(`{"createdAt":"2024-05-01T10:00:00Z","smsOptOut":true,"lastName":"Y","emailOptOut":false,"firstName":"Z","customerId":"c-1"}`, "/lastName", "/firstName")},
	{"exactness/new members in the patch's order", nil, cust(outs), `{"phone":"1","email":"e","customerId":"c-1"}`, noOptions, updated(cust(outs+`,"phone":"1","email":"e"`), "/phone", "/email")},
	{"exactness/escaped names are kept", nil, ``, `{"customer\u0049d":"c-1","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z"}`, noOptions, created(`{"customer\u0049d":"c-1","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z"` + outs + `}`)},

	{"unknown fields/rejected", nil, ``, cust(`,"nickname":1`), noOptions, invalid("/nickname unknown_field")},
	{"unknown fields/each is reported", nil, cust(outs), `{"x":1,"customerId":"c-1","y":{"z":1},"email":"e"}`, noOptions, invalid("/x unknown_field", "/y unknown_field")},
	{"unknown fields/case counts", nil, ``, cust(`,"Email":"e"`), noOptions, invalid("/Email unknown_field")},
	{"unknown fields/nested", person, ``, p(`,"name":{"first":"A","middle":"B","initials":{"f":"A","x":1}}`), noOptions, invalid("/name/middle unknown_field", "/name/initials/x unknown_field")},
	{"unknown fields/in elements", person, ``, p(`,"phones":[{"number":"1"},{"number":"2","x":1}]`), noOptions, invalid("/phones/1/x unknown_field")},
	{"unknown fields/nothing is unknown in open objects and arrays", person, ``, p(`,"free":{"a":{"b":1}},"any":[{"c":2}],"vip":true`), noOptions, created(p(`,"free":{"a":{"b":1}},"any":[{"c":2}],"vip":true`))},
	{"unknown fields/ignored", nil, ``, cust(`,"nickname":1,"a/b~":{"c":1}`), ignore, created(cust(outs)).drop("/nickname", "/a~1b~0")},
	{"unknown fields/ignored, nested", person, ``, p(`,"name":{"x":1,"first":"A","initials":{"f":"A","y":1}},"vip":true`), ignore, created(p(`,"name":{"first":"A","initials":{"f":"A"}},"vip":true`)).drop("/name/x", "/name/initials/y")},
	{"unknown fields/ignored, in elements", person, ``, p(`,"phones":[{"x":[1],"number":"1"},{"number":"2","y":null}],"vip":true`), ignore, created(p(`,"phones":[{"number":"1"},{"number":"2"}],"vip":true`)).drop("/phones/0/x", "/phones/1/y")},
	{"unknown fields/ignored, nothing left to do", nil, cust(outs), `{"customerId":"c-1","x":1}`, ignore, unchanged(cust(outs)).drop("/x")},
	{"unknown fields/ignored, everything else is checked", nil, cust(outs), `{"x":1,"customerId":"c-1","email":1}`, ignore, invalid("/email type")},
	{"unknown fields/ignored names are exact", empty, ``, p(`,"\u0000\"<":1`), ignore, created(p(``)).drop("/\x00\"<")},
	{"unknown fields/null is unknown", nil, cust(outs), `{"customerId":"c-1","x":null}`, noOptions, invalid("/x unknown_field")},
	{"unknown fields/null is unknown on insert", nil, ``, cust(`,"x":null`), noOptions, invalid("/x unknown_field")},
	{"unknown fields/null, ignored", nil, cust(outs), `{"customerId":"c-1","x":null}`, ignore, unchanged(cust(outs)).drop("/x")},
	{"unknown fields/null, ignored, on insert", nil, ``, cust(`,"x":null`), ignore, created(cust(outs)).drop("/x")},
	{"unknown fields/null is unknown when nulls are ignored", nil, cust(outs), `{"customerId":"c-1","x":null}`, ignoreNulls, invalid("/x unknown_field")},
	{"unknown fields/null is unknown when nulls are rejected", nil, cust(outs), `{"customerId":"c-1","x":null}`, rejectNulls, invalid("/x unknown_field")},
	{"unknown fields/stored undeclared are kept and not shown", nil, cust(`,"old":{"a":1}` + outs), `{"customerId":"c-1","email":"e"}`, noOptions, updated(cust(`,"old":{"a":1}`+outs+`,"email":"e"`), "/email").shows(cust(outs + `,"email":"e"`))},
	{"unknown fields/stored undeclared, no change", nil, cust(`,"old":{"a":1}` + outs), `{"customerId":"c-1"}`, noOptions, unchanged(cust(`,"old":{"a":1}` + outs)).shows(cust(outs))},
	{"unknown fields/stored undeclared, nested", person, p(`,"name":{"first":"A","old":1},"phones":[{"number":"1","old":1}],"vip":true`), p(`,"name":{"last":"B"}`), noOptions, updated(p(`,"name":{"first":"A","old":1,"last":"B"},"phones":[{"number":"1","old":1}],"vip":true`), "/name/last").shows(p(`,"name":{"first":"A","last":"B"},"phones":[{"number":"1"}],"vip":true`))},
	{"unknown fields/stored undeclared cannot be set", nil, cust(`,"old":1` + outs), `{"customerId":"c-1","old":2}`, noOptions, invalid("/old unknown_field")},
	{"unknown fields/stored undeclared cannot be set, ignored", nil, cust(`,"old":1` + outs), `{"customerId":"c-1","old":2}`, ignore, unchanged(cust(`,"old":1` + outs)).shows(cust(outs)).drop("/old")},
	{"unknown fields/null deletes a stored undeclared", nil, cust(`,"old":1` + outs), `{"customerId":"c-1","old":null}`, noOptions, updated(cust(outs)).remove("/old")},
	{"unknown fields/null deletes a stored undeclared, escaped", nil, cust(`,"old":1` + outs), `{"customerId":"c-1","\u006fld":null}`, noOptions, updated(cust(outs)).remove("/old")},
	{"unknown fields/null deletes a stored undeclared, ignored", nil, cust(`,"old":1` + outs), `{"customerId":"c-1","old":null}`, ignore, updated(cust(outs)).remove("/old")},
	{"unknown fields/null deletes a stored undeclared, nested", person, p(`,"name":{"first":"A","old":1},"vip":true`), p(`,"name":{"old":null}`), noOptions, updated(p(`,"name":{"first":"A"},"vip":true`)).remove("/name/old")},
	{"unknown fields/null deletes only what is stored there", person, p(`,"old":1,"name":{"first":"A"},"vip":true`), p(`,"name":{"old":null}`), noOptions, invalid("/name/old unknown_field")},
	{"unknown fields/ignored null leaves a stored undeclared", nil, cust(`,"old":1` + outs), `{"customerId":"c-1","old":null}`, lenient, unchanged(cust(`,"old":1` + outs)).shows(cust(outs)).drop("/old")},

	{"null/deletes", nil, cust(`,"email":"e"` + outs + `,"phone":"1"`), `{"customerId":"c-1","email":null}`, noOptions, updated(cust(outs + `,"phone":"1"`)).remove("/email")},
	{"null/deletes and sets", nil, cust(`,"email":"e"` + outs), `{"customerId":"c-1","email":null,"phone":"2"}`, noOptions, updated(cust(outs+`,"phone":"2"`), "/phone").remove("/email")},
	{"null/on an absent field", nil, cust(outs), `{"customerId":"c-1","email":null}`, noOptions, unchanged(cust(outs))},
	{"null/on insert", nil, ``, cust(`,"email":null,"smsOptOut":null`), noOptions, created(cust(outs))},
	{"null/on a required field", nil, cust(outs), `{"customerId":"c-1","firstName":null}`, noOptions, invalid("/firstName required")},
	{"null/on a required field on insert", nil, ``, `{"customerId":"c-1","firstName":null,"lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`, noOptions, invalid("/firstName required")},
	{"null/on a nested required field", person, p(`,"name":{"first":"A"}`), p(`,"name":{"first":null}`), noOptions, invalid("/name/first required")},
	{"null/deletes an object with required fields", person, p(`,"name":{"first":"A"},"vip":true`), p(`,"name":null`), noOptions, updated(p(`,"vip":true`)).remove("/name")},
	{"null/deletes in an open object", person, p(`,"free":{"a":{"b":1,"c":2}},"vip":true`), p(`,"free":{"a":{"b":null}}`), noOptions, updated(p(`,"free":{"a":{"c":2}},"vip":true`)).remove("/free/a/b")},
	{"null/inside arrays is a value", person, ``, p(`,"any":[null,{"a":null}],"vip":true`), noOptions, created(p(`,"any":[null,{"a":null}],"vip":true`))},
	{"null/inside arrays is a value when nulls are ignored", person, ``, p(`,"any":[null,{"a":null}],"vip":true`), ignoreNulls, created(p(`,"any":[null,{"a":null}],"vip":true`))},
	{"null/inside arrays is a value when nulls are rejected", person, ``, p(`,"any":[null,{"a":null}],"vip":true`), rejectNulls, created(p(`,"any":[null,{"a":null}],"vip":true`))},
	{"null/as an element of a declared type", person, ``, p(`,"tags":["a",null],"phones":[{"number":null}]`), noOptions, invalid("/tags/1 type", "/phones/0/number type")},
	{"null/rejected", nil, cust(outs), `{"customerId":"c-1","email":null,"phone":null}`, rejectNulls, invalid("/email null", "/phone null")},
	{"null/rejected on insert", nil, ``, cust(`,"email":null`), rejectNulls, invalid("/email null")},
	{"null/rejected in an open object", person, p(``), p(`,"free":{"a":{"b":null}}`), rejectNulls, invalid("/free/a/b null")},
	{"null/ignored", nil, cust(`,"email":"e"` + outs), `{"customerId":"c-1","email":null,"phone":"2","smsOptOut":null}`, ignoreNulls, updated(cust(`,"email":"e"`+outs+`,"phone":"2"`), "/phone")},
	{"null/ignored on a required field", nil, cust(outs), `{"customerId":"c-1","firstName":null}`, ignoreNulls, unchanged(cust(outs))},
	{"null/ignored on a required field on insert", nil, ``, `{"customerId":"c-1","firstName":null,"lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`, ignoreNulls, invalid("/firstName required")},
	{"null/ignored, nested", person, p(`,"name":{"first":"A","last":"B"},"free":{"a":1},"vip":true`), p(`,"name":{"first":null,"last":null},"free":{"a":null}`), ignoreNulls, unchanged(p(`,"name":{"first":"A","last":"B"},"free":{"a":1},"vip":true`))},

	{"merge/replaces a value", nil, cust(`,"email":"e"` + outs), `{"customerId":"c-1","email":"f"}`, noOptions, updated(cust(`,"email":"f"`+outs), "/email")},
	{"merge/keeps what is not sent", nil, cust(`,"email":"e","phone":"1"` + outs), `{"customerId":"c-1","phone":"2"}`, noOptions, updated(cust(`,"email":"e","phone":"2"`+outs), "/phone")},
	{"merge/objects recursively", person, p(`,"name":{"first":"A","initials":{"f":"A"}},"vip":true`), p(`,"name":{"last":"B","initials":{"f":"X"}}`), noOptions, updated(p(`,"name":{"first":"A","initials":{"f":"X"},"last":"B"},"vip":true`), "/name/initials/f", "/name/last")},
	{"merge/open objects recursively", person, p(`,"free":{"a":{"b":1}},"vip":true`), p(`,"free":{"a":{"c":2},"d":3}`), noOptions, updated(p(`,"free":{"a":{"b":1,"c":2},"d":3},"vip":true`), "/free/a/c", "/free/d")},
	{"merge/an array is taken whole", person, p(`,"tags":["a","b"],"vip":true`), p(`,"tags":["b"]`), noOptions, updated(p(`,"tags":["b"],"vip":true`), "/tags")},
	{"merge/an array of objects is taken whole", person, p(`,"phones":[{"number":"1","main":true}],"vip":true`), p(`,"phones":[{"number":"1"}]`), noOptions, updated(p(`,"phones":[{"number":"1"}],"vip":true`), "/phones")},
	{"merge/object over scalar", person, p(`,"free":{"a":1},"vip":true`), p(`,"free":{"a":{"b":2,"c":null}}`), noOptions, updated(p(`,"free":{"a":{"b":2}},"vip":true`), "/free/a")},
	{"merge/scalar over object", person, p(`,"free":{"a":{"b":2}},"vip":true`), p(`,"free":{"a":1}`), noOptions, updated(p(`,"free":{"a":1},"vip":true`), "/free/a")},
	{"merge/an empty object changes nothing", person, p(`,"free":{"a":1},"vip":true`), p(`,"free":{}`), noOptions, unchanged(p(`,"free":{"a":1},"vip":true`))},
	{"merge/an empty object creates one", person, p(`,"vip":true`), p(`,"free":{}`), noOptions, updated(p(`,"vip":true,"free":{}`), "/free")},
	{"merge/blanks in the stored document go with a change", person, `{ "id" : "1", "vip" : true }`, p(`,"tier":"gold"`), noOptions, updated(p(`,"vip":true,"tier":"gold"`), "/tier")},

	{"required/all missing, in the order of the schema", nil, ``, `{}`, noOptions, invalid("/customerId required", "/firstName required", "/lastName required", "/createdAt required")},
	{"required/partial upsert of nothing", nil, ``, `{"customerId":"c-1","email":"e"}`, noOptions, invalid("/firstName required", "/lastName required", "/createdAt required")},
	{"required/partial upsert of something", nil, cust(outs), `{"customerId":"c-1","email":"e"}`, noOptions, updated(cust(outs+`,"email":"e"`), "/email")},
	{"required/complete", nil, cust(outs), `{"customerId":"c-1","email":"e"}`, complete, invalid("/firstName required", "/lastName required", "/createdAt required")},
	{"required/complete, is", nil, cust(outs), cust(`,"email":"e"`), complete, updated(cust(outs+`,"email":"e"`), "/email")},
	{"required/in an object that the update creates", person, p(`,"vip":true`), p(`,"name":{"last":"B"}`), noOptions, invalid("/name/first required")},
	{"required/in an object that is there", person, p(`,"name":{"first":"A"},"vip":true`), p(`,"name":{"last":"B"}`), noOptions, updated(p(`,"name":{"first":"A","last":"B"},"vip":true`), "/name/last")},
	{"required/in an object in an object that is there", person, p(`,"name":{"first":"A"},"vip":true`), p(`,"name":{"initials":{}}`), noOptions, invalid("/name/initials/f required")},
	{"required/in elements", person, p(`,"phones":[{"number":"1"}]`), p(`,"phones":[{"number":"1"},{"main":true}]`), noOptions, invalid("/phones/1/number required")},
	{"required/not of an absent object", person, ``, p(``), noOptions, created(p(vip))},

	{"ratcheting/another part of a document that lacks a required field", strictPerson, p(`,"vip":true`), p(`,"vip":false`), noOptions, updated(p(`,"vip":false`), "/vip")},
	{"ratcheting/another part of an object that lacks a required field", strictPerson, p(`,"name":{"first":"A"}`), p(`,"name":{"first":"B"}`), noOptions, updated(p(`,"name":{"first":"B"}`), "/name/first")},
	{"ratcheting/another part of a document with a wrong value", strictPerson, p(`,"email":5,"tier":"bronze","name":"A"`), p(`,"vip":false`), noOptions, updated(p(`,"email":5,"tier":"bronze","name":"A","vip":false`), "/vip")},
	{"ratcheting/a wrong value can be mended", strictPerson, p(`,"email":5,"tier":"bronze"`), p(`,"tier":"gold"`), noOptions, updated(p(`,"email":5,"tier":"gold"`), "/tier")},
	{"ratcheting/a wrong value can be sent again as it is", strictPerson, p(`,"email":"e","tier":"bronze"`), p(`,"tier":"bronze","email":"f"`), noOptions, updated(p(`,"email":"f","tier":"bronze"`), "/email")},
	{"ratcheting/a wrong value cannot be replaced by another", strictPerson, p(`,"email":"e","tier":"bronze"`), p(`,"tier":"brass"`), noOptions, invalid("/tier enum")},
	{"ratcheting/a wrong value cannot be sent again with RequireComplete", strictPerson, p(`,"email":"e","tier":"bronze"`), p(`,"email":"e","tier":"bronze"`), complete, invalid("/tier enum")},
	{"ratcheting/an object over a wrong scalar is new", strictPerson, p(`,"email":"e","name":"A"`), p(`,"name":{"first":"B"}`), noOptions, invalid("/name/last required")},
	{"ratcheting/a required field that is missing cannot be deleted", strictPerson, p(``), p(`,"email":null`), noOptions, invalid("/email required")},
	{"ratcheting/no change", strictPerson, p(`,"email":5`), p(``), noOptions, unchanged(p(`,"email":5`))},

	{"defaults/filled on insert", nil, ``, cust(``), noOptions, created(cust(outs))},
	{"defaults/not over a value on insert", nil, ``, cust(`,"smsOptOut":false`), noOptions, created(cust(`,"smsOptOut":false,"emailOptOut":false`))},
	{"defaults/not over a stored value", nil, cust(`,"emailOptOut":true,"smsOptOut":false`), `{"customerId":"c-1","email":"e"}`, noOptions, updated(cust(`,"emailOptOut":true,"smsOptOut":false,"email":"e"`), "/email")},
	{"defaults/null resets", nil, cust(`,"emailOptOut":true,"smsOptOut":false`), `{"customerId":"c-1","smsOptOut":null}`, noOptions, updated(cust(`,"emailOptOut":true,"smsOptOut":true`), "/smsOptOut")},
	{"defaults/null on the default is no change", nil, cust(`,"smsOptOut":true,"emailOptOut":false`), `{"customerId":"c-1","smsOptOut":null}`, noOptions, unchanged(cust(`,"smsOptOut":true,"emailOptOut":false`))},
	{"defaults/ignored null does not reset", nil, cust(`,"emailOptOut":true,"smsOptOut":false`), `{"customerId":"c-1","smsOptOut":null}`, ignoreNulls, unchanged(cust(`,"emailOptOut":true,"smsOptOut":false`))},
	{"defaults/added later, shown", nil, cust(``), `{"customerId":"c-1"}`, noOptions, unchanged(cust(``)).shows(cust(outs))},
	{"defaults/added later, null on it", nil, cust(``), `{"customerId":"c-1","smsOptOut":null}`, noOptions, unchanged(cust(``)).shows(cust(outs))},
	{"defaults/added later, written with the next change", nil, cust(``), `{"customerId":"c-1","email":"e"}`, noOptions, updated(cust(`,"email":"e"`+outs), "/email", "/emailOptOut", "/smsOptOut")},
	{"defaults/added later, sent", nil, cust(``), `{"customerId":"c-1","smsOptOut":true}`, noOptions, updated(cust(`,"smsOptOut":true,"emailOptOut":false`), "/smsOptOut", "/emailOptOut")},
	{"defaults/changed later", twoDefaults, p(`,"a":"old","b":"y"`), p(`,"c":"1"`), noOptions, updated(p(`,"a":"old","b":"y","c":"1"`), "/c")},
	{"defaults/of a field that is stored as null", twoDefaults, p(`,"a":null,"b":"y"`), p(`,"c":"1"`), noOptions, updated(p(`,"a":null,"b":"y","c":"1"`), "/c")},
	{"defaults/in an object that is there", person, ``, p(`,"prefs":{"tz":"UTC"},"vip":true`), noOptions, created(p(`,"prefs":{"tz":"UTC","lang":"en"},"vip":true`))},
	{"defaults/in an object with an escaped name", person, ``, p(`,"pref\u0073":{"tz":"UTC"},"vip":true`), noOptions, created(p(`,"pref\u0073":{"tz":"UTC","lang":"en"},"vip":true`))},
	{"defaults/an escaped name is there", person, ``, p(`,"vi\u0070":true`), noOptions, created(p(`,"vi\u0070":true`))},
	{"defaults/create no object", person, ``, p(`,"vip":true`), noOptions, created(p(`,"vip":true`))},
	{"defaults/nested, null resets", person, p(`,"prefs":{"lang":"de"},"vip":true`), p(`,"prefs":{"lang":null}`), noOptions, updated(p(`,"prefs":{"lang":"en"},"vip":true`), "/prefs/lang")},
	{"defaults/nested, gone with its object", person, p(`,"prefs":{"lang":"de"},"vip":true`), p(`,"prefs":null`), noOptions, updated(p(`,"vip":true`)).remove("/prefs")},
	{"defaults/not into a stored scalar", person, p(`,"prefs":5,"vip":true`), p(`,"tier":"gold"`), noOptions, updated(p(`,"prefs":5,"vip":true,"tier":"gold"`), "/tier")},

	{"all errors at once/five, then what is missing", nil, ``, `{"smsOptOut":"no","nick":1,"email":5,"createdAt":"yesterday","phone":[],"customerId":"c-1"}`, noOptions, invalid("/smsOptOut type", "/nick unknown_field", "/email type", "/createdAt format", "/phone type", "/firstName required", "/lastName required")},
	{"all errors at once/of an update", nil, cust(outs), `{"smsOptOut":"no","nick":1,"firstName":null,"createdAt":"yesterday","phone":[],"customerId":"c-1"}`, noOptions, invalid("/smsOptOut type", "/nick unknown_field", "/firstName required", "/createdAt format", "/phone type")},
	{"all errors at once/null on what is not stored, and a wrong type", nil, cust(outs), `{"x":null,"customerId":"c-1","email":1}`, noOptions, invalid("/x unknown_field", "/email type")},
	{"all errors at once/null on what is stored, and a wrong type", nil, cust(`,"x":1` + outs), `{"x":null,"customerId":"c-1","email":1}`, noOptions, invalid("/email type")},
	{"all errors at once/every depth", person, ``, `{"id":"1","name":{"last":1,"initials":{}},"tags":[1,"a",{}],"phones":[{},{"number":1,"main":0}],"score":"1","age":1.5,"tier":"bronze","level":3}`, noOptions, invalid("/name/last type", "/tags/0 type", "/tags/2 type", "/phones/1/number type", "/phones/1/main type", "/score type", "/age type", "/tier enum", "/level enum", "/name/first required", "/name/initials/f required", "/phones/0/number required")},

	{"formats/date-time is kept as sent", nil, ``, strings.Replace(cust(``), "2024-05-01T10:00:00Z", "2024-02-29t23:59:60.000000001-00:00", 1), noOptions, created(strings.Replace(cust(outs), "2024-05-01T10:00:00Z", "2024-02-29t23:59:60.000000001-00:00", 1))},
	{"formats/no such day", nil, cust(outs), `{"customerId":"c-1","createdAt":"2023-02-29T10:00:00Z"}`, noOptions, invalid("/createdAt format")},
	{"formats/a date", nil, cust(outs), `{"customerId":"c-1","createdAt":"2023-02-28"}`, noOptions, invalid("/createdAt format")},
	{"formats/empty", nil, cust(outs), `{"customerId":"c-1","createdAt":""}`, noOptions, invalid("/createdAt format")},
	{"formats/nested", person, p(``), p(`,"name":{"first":"A","since":"now"}`), noOptions, invalid("/name/since format")},
	{"formats/another is not declared", nil, cust(outs), `{"customerId":"c-1","email":"not an email","customerDetailUrl":"::","phone":""}`, noOptions, updated(cust(outs+`,"email":"not an email","customerDetailUrl":"::","phone":""`), "/email", "/customerDetailUrl", "/phone")},
	{"types/integer by value", person, ``, p(`,"age":10e-1,"vip":true`), noOptions, created(p(`,"age":10e-1,"vip":true`))},
	{"types/integer with a fraction", person, ``, p(`,"age":1e-1`), noOptions, invalid("/age type")},
	{"types/enum after escapes", person, ``, p(`,"tier":"g\u006fld","vip":true`), noOptions, created(p(`,"tier":"g\u006fld","vip":true`))},
	{"types/enum by another number", person, ``, p(`,"level":3.0`), noOptions, invalid("/level enum")},

	{"conflict/upsert merges", nil, cust(outs), `{"customerId":"c-1","email":"e"}`, noOptions, updated(cust(outs+`,"email":"e"`), "/email")},
	{"conflict/reject", nil, cust(outs), cust(`,"email":"e"`), reject, exists},
	{"conflict/reject what would change nothing", nil, cust(outs), cust(outs), reject, exists},
	{"conflict/reject creates", nil, ``, cust(``), reject, created(cust(outs))},
	{"conflict/reject, invalid", nil, cust(outs), `{"customerId":"c-1","email":1}`, reject, invalid("/email type", "/firstName required", "/lastName required", "/createdAt required")},
	{"conflict/reject, and something corrupt", nil, `[]`, cust(``), reject, exists},

	{"no-op/the same", nil, cust(outs), cust(``), noOptions, unchanged(cust(outs))},
	{"no-op/the id alone", nil, cust(outs), `{"customerId":"c-1"}`, noOptions, unchanged(cust(outs))},
	{"no-op/other blanks", nil, cust(outs), "{ \"customerId\" : \"c-1\" ,\n \"firstName\" : \"Ada\" }", noOptions, unchanged(cust(outs))},
	{"no-op/other order", nil, cust(outs), `{"lastName":"Byron","smsOptOut":true,"customerId":"c-1","firstName":"Ada"}`, noOptions, unchanged(cust(outs))},
	{"no-op/other escapes", nil, cust(outs), `{"customerId":"c-1","firstName":"\u0041da"}`, noOptions, unchanged(cust(outs))},
	{"no-op/blanks in the stored document stay", person, `{ "id" : "1", "vip" : true }`, p(`,"vip":true`), noOptions, unchanged(`{ "id" : "1", "vip" : true }`).shows(p(`,"vip":true`))},
	{"no-op/blanks in the stored document, default in and out", person, `{ "vip" : false, "id" : "1" }`, p(`,"vip":null`), noOptions, unchanged(`{ "vip" : false, "id" : "1" }`).shows(`{"vip":false,"id":"1"}`)},
	{"no-op/blanks in the stored document, default added later", person, `{ "id" : "1" }`, p(``), noOptions, unchanged(`{ "id" : "1" }`).shows(p(vip))},
	{"no-op/one default in and out while another is absent", nil, cust(`,"smsOptOut":true`), `{"customerId":"c-1","smsOptOut":null}`, noOptions, unchanged(cust(`,"smsOptOut":true`)).shows(cust(`,"smsOptOut":true,"emailOptOut":false`))},
	{"no-op/one default in and out, another sent while absent", nil, cust(`,"smsOptOut":true`), `{"customerId":"c-1","smsOptOut":null,"emailOptOut":false}`, noOptions, updated(cust(`,"smsOptOut":true,"emailOptOut":false`), "/emailOptOut")},
	{"no-op/one default in and out, another sent while absent, shorter", nil, cust(`,"emailOptOut":false`), `{"customerId":"c-1","smsOptOut":true,"emailOptOut":null}`, noOptions, updated(cust(`,"emailOptOut":false,"smsOptOut":true`), "/smsOptOut")},
	{"no-op/one default in and out, but another field deleted", nil, cust(`,"email":"e","smsOptOut":true`), `{"customerId":"c-1","smsOptOut":null,"email":null}`, noOptions, updated(cust(`,"smsOptOut":true,"emailOptOut":false`), "/emailOptOut").remove("/email")},
	{"no-op/one default in and out, but another field shortened", nil, cust(`,"email":"long","smsOptOut":true`), `{"customerId":"c-1","smsOptOut":null,"email":"e"}`, noOptions, updated(cust(`,"email":"e","smsOptOut":true,"emailOptOut":false`), "/email", "/emailOptOut")},
	{"no-op/nested default in and out while another is absent", person, p(`,"prefs":{"lang":"en","tz":"UTC"}`), p(`,"prefs":{"lang":null}`), noOptions, unchanged(p(`,"prefs":{"lang":"en","tz":"UTC"}`)).shows(p(`,"prefs":{"lang":"en","tz":"UTC"}` + vip))},
	{"no-op/default in and out beside a stored undeclared", nil, cust(`,"old":1,"smsOptOut":true`), `{"customerId":"c-1","smsOptOut":null}`, noOptions, unchanged(cust(`,"old":1,"smsOptOut":true`)).shows(cust(`,"smsOptOut":true,"emailOptOut":false`))},
	{"no-op/equal objects in arrays", person, p(`,"any":[{"a":1,"b":2}],"vip":true`), p(`,"any":[{"b":2,"a":1}]`), noOptions, unchanged(p(`,"any":[{"a":1,"b":2}],"vip":true`))},

	{"two createdAt/the caller's is data", nil, cust(outs), `{"customerId":"c-1","createdAt":"1999-01-01T00:00:00+01:00"}`, noOptions, updated(strings.Replace(cust(outs), "2024-05-01T10:00:00Z", "1999-01-01T00:00:00+01:00", 1), "/createdAt")},

	{"corrupt/not an object", nil, `["c-1"]`, `{"customerId":"c-1"}`, noOptions, corrupt},
	{"corrupt/not JSON", nil, `{"customerId":`, cust(``), noOptions, corrupt},
	{"corrupt/a duplicate name", nil, `{"customerId":"c-1","customerId":"c-1"}`, cust(``), noOptions, corrupt},
}

func TestCreate(t *testing.T) {
	seen := make(map[string]bool)
	for _, tt := range rules {
		require.False(t, seen[tt.name], "a second row %q", tt.name)
		seen[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			s := tt.schema
			if s == nil {
				s = schema.Customers()
			}
			store := memory.New()
			c := open(t, s, store, fixed)
			key := storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: externalID(s, tt.stored, tt.request)}
			var old storage.Record
			if tt.stored != "" {
				old = put(t, store, key, tt.stored)
			}
			request := []byte(tt.request)
			dryRun := tt.opts
			dryRun.DryRun = true
			dry, dryErr := c.Create(ctx, tenant, request, &dryRun)
			assert.Equal(t, old, stored(t, store, key), "the stored record after a dry run")

			res, err := c.Create(ctx, tenant, request, &tt.opts)
			assert.Equal(t, fmt.Sprint(err), fmt.Sprint(dryErr), "the error of the dry run")
			require.Equal(t, tt.request, string(request), "the request was changed")
			if tt.want.outcome == "" {
				require.Error(t, err)
				assert.Nil(t, res)
				assert.Equal(t, tt.want, classify(err))
				assert.Equal(t, old, stored(t, store, key), "the stored record")
				return
			}
			require.NoError(t, err)
			scribble(request)
			if tt.want.shown == "" {
				tt.want.shown = tt.want.stored
			}
			if tt.want.outcome == resource.Created {
				tt.want.changed = members(t, tt.want.stored)
				key.ExternalID = externalID(s, "", tt.request)
				old = storage.Record{}
			}
			rec := stored(t, store, key)
			assert.Equal(t, tt.want, want{
				outcome: res.Outcome, stored: string(rec.Data), shown: string(res.Data()),
				changed: res.Changed(), removed: res.Removed(), dropped: res.Dropped,
			})
			sameButRevision(t, res, dry, old.Revision)
			assert.Equal(t, rec.Revision, res.Revision())
			assert.Equal(t, rec.ID, res.ID())
			assert.Equal(t, rec.CreatedAt, res.CreatedAt())
			assert.Equal(t, rec.UpdatedAt, res.UpdatedAt())
			assert.Equal(t, key.ExternalID, res.Key().ExternalID)
			switch tt.want.outcome {
			case resource.Created:
				assert.Equal(t, secondID, res.ID())
				assert.Equal(t, now, res.CreatedAt())
				assert.Equal(t, now, res.UpdatedAt())
			case resource.Updated:
				assert.NotEqual(t, old.Revision, res.Revision())
				assert.Equal(t, firstID, res.ID())
				assert.Equal(t, before, res.CreatedAt())
				assert.Equal(t, now, res.UpdatedAt())
			case resource.Unchanged:
				assert.Equal(t, old, rec)
			}
			got, err := c.Get(ctx, tenant, key.ExternalID)
			require.NoError(t, err)
			assert.Equal(t, tt.want.shown, string(got.Data()), "get")
			assert.Equal(t, res.Revision(), got.Revision(), "get")

			if tt.opts.RejectExisting || tt.want.removed != nil && strings.HasPrefix(tt.name, "unknown fields/") {
				return // the second time it exists, or the null is on an unknown field
			}
			again, err := c.Create(ctx, tenant, []byte(tt.request), &tt.opts)
			require.NoError(t, err, "again")
			assert.Equal(t, resource.Unchanged, again.Outcome, "again")
			assert.Equal(t, rec, stored(t, store, key), "again")
		})
	}
}

// sameButRevision holds that a dry run told all that the write then did.
func sameButRevision(t *testing.T, res, dry *resource.Result, before storage.Revision) {
	t.Helper()
	require.NotNil(t, dry)
	assert.Equal(t, string(res.AppendJSON(nil, nil)), string(dry.AppendJSON(nil, nil)), "dry run")
	assert.Equal(t, res.Outcome, dry.Outcome, "dry run")
	assert.Equal(t, res.Changed(), dry.Changed(), "dry run")
	assert.Equal(t, res.Removed(), dry.Removed(), "dry run")
	assert.Equal(t, res.Dropped, dry.Dropped, "dry run")
	assert.Equal(t, before, dry.Revision(), "dry run: the revision that is stored")
}

// TestPatch holds that a patch does to a resource what a create does to it: each
// row of the rules that has one. It says not found where there is none.
func TestPatch(t *testing.T) {
	rows := 0
	for _, tt := range rules {
		if tt.opts.RejectExisting || tt.opts.RequireComplete {
			continue // a patch has neither
		}
		t.Run(tt.name, func(t *testing.T) {
			s := tt.schema
			if s == nil {
				s = schema.Customers()
			}
			key := storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: externalID(s, tt.stored, tt.request)}
			opts := &resource.WriteOptions{UnknownFields: tt.opts.UnknownFields, Nulls: tt.opts.Nulls}
			if tt.stored == "" {
				c := open(t, s, memory.New(), fixed)
				_, err := c.Patch(ctx, tenant, key.ExternalID, []byte(tt.request), opts)
				require.Error(t, err)
				if !tt.want.syntax && !slices.Contains(tt.want.violations, " type") {
					assert.ErrorIs(t, err, resource.ErrNotFound)
				}
				return
			}
			if tt.want.outcome == resource.Created {
				return // the request is about another resource than the stored one
			}
			rows++
			// The same by a create, to compare with: the store of its own has
			// the same record.
			made, patched := memory.New(), memory.New()
			put(t, made, key, tt.stored)
			old := put(t, patched, key, tt.stored)
			want, wantErr := open(t, s, made, fixed).Create(ctx, tenant, []byte(tt.request), &tt.opts)
			c := open(t, s, patched, fixed)

			dryRun := *opts
			dryRun.DryRun = true
			dry, dryErr := c.Patch(ctx, tenant, key.ExternalID, []byte(tt.request), &dryRun)
			assert.Equal(t, old, stored(t, patched, key), "the stored record after a dry run")
			res, err := c.Patch(ctx, tenant, key.ExternalID, []byte(tt.request), opts)
			assert.Equal(t, fmt.Sprint(err), fmt.Sprint(dryErr), "the error of the dry run")
			if wantErr != nil && !noID(tt.want.violations) {
				require.Error(t, err)
				assert.Equal(t, tt.want, classify(err))
				assert.Equal(t, old, stored(t, patched, key))
				return
			}
			if wantErr != nil {
				return // TestPatchID has these
			}
			require.NoError(t, err)
			assert.Equal(t, butRevision(stored(t, made, key)), butRevision(stored(t, patched, key)))
			assert.Equal(t, want.Outcome, res.Outcome)
			assert.Equal(t, want.Changed(), res.Changed())
			assert.Equal(t, want.Removed(), res.Removed())
			assert.Equal(t, want.Dropped, res.Dropped)
			assert.Equal(t, string(want.AppendJSON(nil, nil)), string(res.AppendJSON(nil, nil)))
			sameButRevision(t, res, dry, old.Revision)
		})
	}
	assert.Greater(t, rows, 50, "rows that have a resource")
}

// butRevision returns the record without its revision, to compare what is in two
// stores.
func butRevision(rec storage.Record) storage.Record {
	rec.Revision = 0
	return rec
}

// noID reports whether the violations are of a request without a usable external
// id, which a patch may be.
func noID(violations []string) bool {
	return slices.ContainsFunc(violations, func(v string) bool {
		return strings.HasPrefix(v, "/customerId ") || strings.HasPrefix(v, "/id ")
	})
}

// classify turns an error into what a row wants. Every error must be one that
// the row can name.
func classify(err error) want {
	return want{
		violations: violations(err),
		syntax:     is[*schema.SyntaxError](err),
		corrupt:    is[*schema.CorruptError](err),
		exists:     errors.Is(err, resource.ErrExists),
	}
}

// is reports whether the error is, or wraps, an E.
func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// externalID returns the id that the row is about: the request's, or that of
// the stored document when the request has none.
func externalID(s *schema.Schema, stored, request string) string {
	for _, text := range []string{stored, request} {
		var doc map[string]any
		if json.Unmarshal([]byte(text), &doc) == nil {
			if id, ok := doc[s.Definition().ExternalID].(string); ok && id != "" && len(id) <= storage.MaxExternalID && !strings.Contains(id, "\x00") {
				return id
			}
		}
	}
	if strings.Contains(request, `"c-1"`) {
		return "c-1"
	}
	return "1"
}

// members returns the pointers to the members of an object, in their order.
func members(t testing.TB, object string) []string {
	t.Helper()
	var list []string
	dec := json.NewDecoder(strings.NewReader(object))
	_, err := dec.Token()
	require.NoError(t, err)
	for dec.More() {
		name, err := dec.Token()
		require.NoError(t, err)
		list = append(list, "/"+name.(string))
		var value json.RawMessage
		require.NoError(t, dec.Decode(&value))
	}
	return list
}

// TestCreateMessages fixes the text of one error, as an example of all.
func TestCreateMessages(t *testing.T) {
	c, store := customers(t)
	old := put(t, store, customerKey("c-1"), cust(outs))
	_, err := c.Create(ctx, tenant, []byte(`{"emial":"marker","customerId":"c-1","phone":["marker"],"createdAt":"marker","firstName":null,"emailOptOut":"marker"}`), nil)
	assert.EqualError(t, err, `schema: invalid document: `+
		`/emial: unknown field, did you mean "email"?; `+
		`/phone: expected string, found array; `+
		`/createdAt: expected a date-time (RFC 3339), such as 2006-01-02T15:04:05Z; `+
		`/firstName: required, cannot be null; `+
		`/emailOptOut: expected boolean, found string`)
	assert.Len(t, violations(err), 5)
	assert.Equal(t, old, stored(t, store, customerKey("c-1")))
}

func TestExistsError(t *testing.T) {
	c, _ := customers(t)
	res := create(t, c, cust(``))
	_, err := c.Create(ctx, tenant, []byte(cust(``)), &reject)
	require.ErrorIs(t, err, resource.ErrExists)
	var e *resource.OpError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, customerKey("c-1"), e.Key)
	assert.Equal(t, res.Revision(), e.Current)
	assert.EqualError(t, e.Err, "a resource with this customerId exists already")
	assert.EqualError(t, err, "resource: create: a resource with this customerId exists already")
}

// TestInvalidPolicies: a value that is not a policy, and an option that the call cannot
// have, is an error, and never another policy.
func TestInvalidPolicies(t *testing.T) {
	c, store := customers(t)
	old := put(t, store, customerKey("c-1"), cust(outs))
	for _, opts := range []resource.WriteOptions{{UnknownFields: 2}, {UnknownFields: -1}, {Nulls: 3}, {Nulls: -1}} {
		_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"e"`)), &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid, "%+v", opts)
		_, err = c.Create(ctx, tenant, []byte(`[`), &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid, "before anything is read: %+v", opts)
		batch, err := c.CreateBatch(ctx, tenant, [][]byte{[]byte(cust(``))}, &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid, "%+v", opts)
		assert.Nil(t, batch)
	}
	for _, opts := range []resource.WriteOptions{
		{UnknownFields: 2}, {UnknownFields: -1}, {Nulls: 3}, {Nulls: -1}, {RejectExisting: true}, {RequireComplete: true},
	} {
		_, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":"e"}`), &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid, "%+v", opts)
		batch, err := c.PatchBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1", Data: []byte(`{}`)}}, &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid, "%+v", opts)
		assert.Nil(t, batch)
		_, err = c.Delete(ctx, tenant, "c-1", &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid, "%+v", opts)
		batch, err = c.DeleteBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1"}}, &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid, "%+v", opts)
		assert.Nil(t, batch)
	}
	items, err := c.DeleteBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1", Data: []byte(`{}`)}}, nil)
	require.NoError(t, err)
	assert.ErrorIs(t, items[0].Err, storage.ErrInvalid, "a delete has no data")
	assert.Equal(t, resource.Class("internal"), resource.ErrorClass(storage.ErrInvalid))
	assert.Equal(t, old, stored(t, store, customerKey("c-1")))
}

// TestDefaultAddedLater goes through the life of a document that is older than
// a default: filled when read, not by a write without effect, but by the next
// that has one; and a later change of the default changes nothing.
func TestDefaultAddedLater(t *testing.T) {
	store := memory.New()
	key := storage.Key{Tenant: tenant, Schema: empty.ID(), ExternalID: "1"}
	first := open(t, things(str("a")), store, fixed)
	create(t, first, `{"id":"1","a":"x"}`)

	second := open(t, things(str("a"), defaulted(str("b"), "y")), store, fixed)
	got, err := second.Get(ctx, tenant, "1")
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","a":"x","b":"y"}`, string(got.Data()))
	res := create(t, second, `{"id":"1","a":"x"}`)
	assert.Equal(t, resource.Unchanged, res.Outcome)
	assert.Empty(t, res.Changed())
	assert.Equal(t, `{"id":"1","a":"x","b":"y"}`, string(res.Data()))
	assert.Equal(t, `{"id":"1","a":"x"}`, string(stored(t, store, key).Data))

	third := open(t, things(str("a"), defaulted(str("b"), "z")), store, fixed)
	got, err = third.Get(ctx, tenant, "1")
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","a":"x","b":"z"}`, string(got.Data()), "never written, so the newer default")

	create(t, second, `{"id":"1","a":"v"}`)
	assert.Equal(t, `{"id":"1","a":"v","b":"y"}`, string(stored(t, store, key).Data))
	res = create(t, third, `{"id":"1","a":"w"}`)
	assert.Equal(t, []string{"/a"}, res.Changed())
	assert.Equal(t, `{"id":"1","a":"w","b":"y"}`, string(stored(t, store, key).Data))
}

// TestEmptyStoredDocument: a record without data is no JSON object, so neither a
// write nor a read takes it for an absent one.
func TestEmptyStoredDocument(t *testing.T) {
	c, store := customers(t)
	old := put(t, store, customerKey("c-1"), "")
	_, err := c.Get(ctx, tenant, "c-1")
	assert.True(t, is[*schema.CorruptError](err), "get: %v", err)
	for _, request := range []string{cust(``), `{"customerId":"c-1","email":1}`} {
		_, err = c.Create(ctx, tenant, []byte(request), nil)
		assert.True(t, is[*schema.CorruptError](err), "create: %v", err)
	}
	assert.Equal(t, old.Revision, stored(t, store, customerKey("c-1")).Revision)
}

// TestAwkwardNames fills defaults and nested defaults under names that mean
// something in path languages.
func TestAwkwardNames(t *testing.T) {
	for _, name := range []string{".", "a.b", "*", "a*", "?", "#", "|", "@", "@this", ":", ":1", "0", "-1", "007", `\`, `"`, "~", "/", "{", "}", " ", "é", "😀", "\x00", "<", "!"} {
		t.Run(name, func(t *testing.T) {
			s := things(defaulted(str(name), "x"), object("o", defaulted(str(name), "y"), object(name+"o", defaulted(str(name), "z"))))
			store := memory.New()
			c := open(t, s, store, fixed)
			quoted, err := json.Marshal(name + "o")
			require.NoError(t, err)
			res := create(t, c, `{"id":"1","o":{`+string(quoted)+`:{}}}`)
			var got map[string]any
			require.NoError(t, json.Unmarshal(res.Data(), &got))
			assert.Equal(t, map[string]any{"id": "1", name: "x", "o": map[string]any{name: "y", name + "o": map[string]any{name: "z"}}}, got)
			assert.NoError(t, s.Validate(res.Data()))
			assert.Equal(t, resource.Unchanged, create(t, c, `{"id":"1"}`).Outcome)
		})
	}
}
