package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	have = `{"id":"1","name":"n"}` // a stored document
	full = `{"id":"1","name":"n",` // the start of a complete one
)

// Each row is one rule. want lists "pointer code" in order.
var checkTests = []struct {
	name            string
	stored, request string
	opts            *ReadOptions
	want            []string
}{
	{"insert/complete", "", have, nil, nil},
	{"insert/missing-in-schema-order", "", `{}`, nil, []string{"/id required", "/name required"}},
	{"insert/missing-come-last", "", `{"size":true}`, nil, []string{"/size type", "/id required", "/name required"}},
	{"insert/null-on-optional", "", full + `"size":null}`, nil, nil},
	{"insert/null-on-required-is-reported-once", "", `{"name":null,"id":"1"}`, nil, []string{"/name required"}},
	{"insert/nested-missing-in-schema-order", "", `{"lines":[{}],"address":{"geo":{}}}`, nil, []string{
		"/id required", "/name required", "/address/city required", "/address/geo/lat required", "/address/geo/lon required",
		"/lines/0/sku required", "/lines/0/qty required"}},
	{"insert/empty-document", "", `{}`, &ReadOptions{Nulls: IgnoreNulls}, []string{"/id required", "/name required"}},

	{"id/invisible", "", `{"id":"\u200b \t","name":1}`, nil, []string{"/id external_id", "/name type"}},
	{"id/visible-between-blanks", "", `{"id":"\u200b. ","name":"n"}`, nil, nil},
	{"id/invisible-in-a-request-with-nulls", "", `{"id":" ","name":"n","x":null}`, nil, []string{"/id external_id", "/x unknown_field"}},
	{"id/invisible-is-stored", `{"id":" ","name":"n"}`, `{"id":" ","size":1}`, nil, nil},
	{"id/invisible-is-stored-and-complete", `{"id":" ","name":"n"}`, `{"id":" ","name":"m"}`, &ReadOptions{RequireComplete: true, ExternalID: " "}, nil},
	{"id/invisible-and-another", have, `{"id":" "}`, &ReadOptions{ExternalID: "1"}, []string{"/id external_id"}},

	{"update/partial", have, `{"size":1}`, nil, nil},
	{"update/empty", have, `{}`, nil, nil},
	{"update/null-deletes", `{"id":"1","name":"n","size":1}`, `{"size":null}`, nil, nil},
	{"update/null-on-absent", have, `{"size":null}`, nil, nil},
	{"update/null-on-required", have, `{"name":null}`, nil, []string{"/name required"}},
	{"update/null-on-external-id", have, `{"id":null}`, nil, []string{"/id required"}},
	{"update/null-in-nested-required", `{"id":"1","name":"n","address":{"city":"c"}}`, `{"address":{"city":null}}`, nil, []string{"/address/city required"}},
	{"update/new-object-must-be-complete", have, `{"address":{"zip":"z"}}`, nil, []string{"/address/city required"}},
	{"update/new-object-over-a-scalar", `{"id":"1","name":"n","address":"x"}`, `{"address":{"zip":"z"}}`, nil, []string{"/address/city required"}},
	{"update/new-object-below-an-old-one", `{"id":"1","name":"n","address":{"city":"c"}}`, `{"address":{"geo":{"lat":1}}}`, nil, []string{"/address/geo/lon required"}},
	{"update/old-object-partial", `{"id":"1","name":"n","address":{"city":"c"}}`, `{"address":{"zip":"z"}}`, nil, nil},
	{"ratchet/top", `{"id":"1"}`, `{"size":1}`, nil, nil},
	{"ratchet/nested", `{"id":"1","name":"n","address":{}}`, `{"address":{"zip":"z"}}`, nil, nil},
	{"ratchet/stored-of-wrong-type", `{"id":"1","name":5,"size":"x"}`, `{"price":1}`, nil, nil},
	{"ratchet/the-stored-value-again", `{"id":"1","name":5,"level":9}`, `{"id":"1","name":5,"level":9,"size":1}`, nil, nil},
	{"ratchet/the-stored-value-again-in-other-escapes", `{"id":"1","name":"n","size":"x"}`, `{"size":"\u0078"}`, nil, nil},
	{"ratchet/the-stored-value-again-nested", `{"id":"1","name":"n","address":{"city":5}}`, `{"address":{"city":5,"zip":"z"}}`, nil, nil},
	{"ratchet/the-stored-array-again", `{"id":"1","name":"n","lines":[{"note":5,"parts":[{}]}]}`, `{"lines":[{"parts":[{}],"note":5}]}`, nil, nil},
	{"ratchet/the-stored-array-again-but-unknown", `{"id":"1","name":"n","lines":[{"x":1}]}`, `{"lines":[{"x":1}]}`, nil, []string{"/lines/0/x unknown_field"}},
	{"ratchet/the-stored-array-again-and-more", `{"id":"1","name":"n","lines":[{"note":5}]}`, `{"lines":[{"note":5}],"tags":[1]}`, nil, []string{"/tags/0 type"}},
	{"ratchet/another-array", `{"id":"1","name":"n","lines":[{"note":5}]}`, `{"lines":[{"note":5},{"sku":"s","qty":1}]}`, nil, []string{"/lines/0/note type", "/lines/0/sku required", "/lines/0/qty required"}},
	{"ratchet/no-array-when-complete", `{"id":"1","name":"n","lines":[{}]}`, `{"id":"1","name":"n","lines":[{}]}`, &ReadOptions{RequireComplete: true}, []string{"/lines/0/sku required", "/lines/0/qty required"}},

	{"map/values", have, `{"labels":{"env":"prod","__proto__":"x","":"y","ENV":"z"}}`, nil, nil},
	{"map/value-of-wrong-type", have, `{"labels":{"a/b":1,"c":{}}}`, nil, []string{"/labels/a~1b type", "/labels/c type"}},
	{"map/the-stored-value-again", `{"id":"1","name":"n","labels":{"a":1}}`, `{"labels":{"a":1,"b":"x"}}`, nil, nil},
	{"map/null-deletes", `{"id":"1","name":"n","labels":{"a":1}}`, `{"labels":{"a":null,"b":null}}`, nil, nil},
	{"map/null-rejected", have, `{"labels":{"a":null}}`, &ReadOptions{Nulls: RejectNulls}, []string{"/labels/a null"}},
	{"map/null-ignored", have, `{"labels":{"a":null}}`, &ReadOptions{Nulls: IgnoreNulls}, nil},
	{"map/null-in-array", have, `{"lists":[{"a":null}]}`, nil, []string{"/lists/0/a type"}},
	{"map/not-an-object", have, `{"labels":[]}`, nil, []string{"/labels type"}},
	{"map/objects", have, `{"sites":{"a":{"city":"c"}}}`, nil, nil},
	{"map/required-in-a-new-value", have, `{"sites":{"b":{"open":true},"a":{}},"lines":[{}]}`, nil, []string{"/lines/0/sku required", "/lines/0/qty required", "/sites/b/city required", "/sites/a/city required"}},
	{"map/required-in-a-stored-value", `{"id":"1","name":"n","sites":{"a":{}}}`, `{"sites":{"a":{"open":false}}}`, nil, nil},
	{"map/required-is-deleted", `{"id":"1","name":"n","sites":{"a":{"city":"c"}}}`, `{"sites":{"a":{"city":null}}}`, nil, []string{"/sites/a/city required"}},
	{"map/unknown-in-a-value", have, `{"sites":{"a":{"city":"c","cty":1}}}`, nil, []string{"/sites/a/cty unknown_field"}},
	{"map/fields-and-values", have, `{"sites":{"home":5,"a":{"city":1}}}`, nil, []string{"/sites/home type", "/sites/a/city type"}},
	{"map/declared-after-others", have, `{"sites":{"a":{"city":"c"},"home":"x","b":{}}}`, nil, []string{"/sites/b/city required"}},
	{"map/long-names", have, `{"labels":{"` + strings.Repeat("x", 100) + `":1}}`, nil, []string{"/labels/" + strings.Repeat("x", 64) + "… type"}},
	{"ratchet/another-wrong-value", `{"id":"1","name":5}`, `{"name":6}`, nil, []string{"/name type"}},
	{"ratchet/the-same-value-elsewhere", `{"id":"1","name":"n","size":5}`, `{"name":5}`, nil, []string{"/name type"}},
	{"ratchet/not-when-complete", `{"id":"1","name":5}`, `{"id":"1","name":5}`, &ReadOptions{RequireComplete: true}, []string{"/name type"}},
	{"ratchet/below-an-object-that-lacks", `{"id":"1","name":"n","address":{}}`, `{"address":{"geo":{}}}`, nil, []string{"/address/geo/lat required", "/address/geo/lon required"}},

	{"complete/partial-update", have, `{"id":"1"}`, &ReadOptions{RequireComplete: true}, []string{"/name required"}},
	{"complete/null-is-reported-once", have, `{"id":"1","name":null}`, &ReadOptions{RequireComplete: true}, []string{"/name required"}},
	{"complete/ignored-null-is-absent", have, `{"id":"1","name":null}`, &ReadOptions{RequireComplete: true, Nulls: IgnoreNulls}, []string{"/name required"}},
	{"complete/old-nested-object", `{"id":"1","name":"n","address":{"city":"c"}}`, full + `"address":{}}`, &ReadOptions{RequireComplete: true}, []string{"/address/city required"}},
	{"complete/complete", have, have, &ReadOptions{RequireComplete: true}, nil},

	{"type/string", have, `{"name":1}`, nil, []string{"/name type"}},
	{"type/boolean", have, `{"live":"true"}`, nil, []string{"/live type"}},
	{"type/boolean-false", have, `{"live":false}`, nil, nil},
	{"type/number", have, `{"price":"1"}`, nil, []string{"/price type"}},
	{"type/number-any-text", have, `{"price":1e400}`, nil, nil},
	{"type/integer-fraction", have, `{"size":1.5}`, nil, []string{"/size type"}},
	{"type/integer-written-as-fraction", have, `{"size":10e-1}`, nil, nil},
	{"type/integer-boolean", have, `{"size":true}`, nil, []string{"/size type"}},
	{"type/object-is-not-entered", have, `{"address":[{"x":1}]}`, nil, []string{"/address type"}},
	{"type/array", have, `{"tags":{}}`, nil, []string{"/tags type"}},
	{"type/open-object", have, `{"meta":[]}`, nil, []string{"/meta type"}},
	{"type/items", have, `{"tags":["a",1,{}]}`, nil, []string{"/tags/1 type", "/tags/2 type"}},
	{"type/any-items", have, `{"any":[1,null,{"x":null}]}`, nil, nil},
	{"type/required-of-wrong-type-is-not-missing", "", `{"id":"1","name":1}`, nil, []string{"/name type"}},

	{"array/null-element", have, `{"tags":[null]}`, nil, []string{"/tags/0 type"}},
	{"array/null-element-ignored-nulls", have, `{"tags":[null]}`, &ReadOptions{Nulls: IgnoreNulls}, []string{"/tags/0 type"}},
	{"array/null-field-of-element", have, `{"lines":[{"sku":"s","qty":1,"note":null}]}`, nil, []string{"/lines/0/note type"}},
	{"array/null-required-field-is-reported-once", have, `{"lines":[{"sku":null,"qty":1}]}`, nil, []string{"/lines/0/sku type"}},
	{"array/required-on-update", have, `{"lines":[{"sku":"s","qty":1},{"sku":"s"}]}`, nil, []string{"/lines/1/qty required"}},
	{"array/required-when-stored-has-it", `{"id":"1","name":"n","lines":[{"sku":"s","qty":1}]}`, `{"lines":[{"sku":"s"}]}`, nil, []string{"/lines/0/qty required"}},
	{"array/array-in-element", have, `{"lines":[{"sku":"s","qty":1,"parts":[{"part_no":"p"},{}]}]}`, nil, []string{"/lines/0/parts/1/part_no required"}},
	{"array/unknown-in-element", have, `{"lines":[{"sku":"s","qty":1,"x":1}]}`, nil, []string{"/lines/0/x unknown_field"}},
	{"array/unknown-null-in-element", `{"id":"1","name":"n","lines":[{"x":1}]}`, `{"lines":[{"sku":"s","qty":1,"x":null}]}`, nil, []string{"/lines/0/x unknown_field"}},

	{"enum/string", have, `{"tier":"gold"}`, nil, nil},
	{"enum/string-escaped", have, `{"tier":"\u0067old"}`, nil, nil},
	{"enum/string-non-ascii", have, `{"tier":"\u00e9"}`, nil, nil},
	{"enum/string-other", have, `{"tier":"Gold"}`, nil, []string{"/tier enum"}},
	{"enum/number", have, `{"level":2.5}`, nil, nil},
	{"enum/number-by-value", have, `{"level":1.0}`, nil, nil},
	{"enum/number-other", have, `{"level":1.01}`, nil, []string{"/level enum"}},
	{"enum/wrong-kind", have, `{"level":"1"}`, nil, []string{"/level type"}},

	{"format/date-time", have, `{"since":"2024-02-29T12:00:00Z"}`, nil, nil},
	{"format/date-time-escaped", have, `{"since":"2024-02-29T12:00:00\u005a"}`, nil, nil},
	{"format/date-time-calendar", have, `{"since":"2023-02-29T12:00:00Z"}`, nil, []string{"/since format"}},

	{"unknown/reject", have, `{"x":1,"y":{"z":2}}`, nil, []string{"/x unknown_field", "/y unknown_field"}},
	{"unknown/nested", have, `{"address":{"city":"c","x":1}}`, nil, []string{"/address/x unknown_field"}},
	{"unknown/open-object", have, `{"meta":{"x":{"y":[1]}}}`, nil, nil},
	{"unknown/escaped-name-is-known", have, `{"\u0073ize":1}`, nil, nil},
	{"unknown/null-not-stored", have, `{"x":null}`, nil, []string{"/x unknown_field"}},
	{"unknown/null-on-insert", "", full + `"x":null}`, nil, []string{"/x unknown_field"}},
	{"unknown/null-deletes-stored", `{"id":"1","name":"n","x":1}`, `{"x":null}`, nil, nil},
	{"unknown/null-deletes-stored-escaped", `{"id":"1","name":"n","x":1}`, `{"\u0078":null}`, nil, nil},
	{"unknown/null-deletes-stored-nested", `{"id":"1","name":"n","address":{"city":"c","x":1}}`, `{"address":{"x":null}}`, nil, nil},
	{"unknown/null-not-stored-nested", `{"id":"1","name":"n","x":1,"address":{"city":"c"}}`, `{"address":{"x":null}}`, nil, []string{"/address/x unknown_field"}},
	{"unknown/null-stands-at-its-place", `{"id":"1","name":"n","y":1}`, `{"size":"a","x":null,"y":null,"price":"b"}`, nil, []string{"/size type", "/x unknown_field", "/price type"}},
	{"unknown/value-on-stored-undeclared", `{"id":"1","name":"n","x":1}`, `{"x":2}`, nil, []string{"/x unknown_field"}},
	{"unknown/null-rejected", `{"id":"1","name":"n","x":1}`, `{"x":null}`, &ReadOptions{Nulls: RejectNulls}, []string{"/x unknown_field"}},
	{"unknown/null-ignored", `{"id":"1","name":"n","x":1}`, `{"x":null}`, &ReadOptions{Nulls: IgnoreNulls}, []string{"/x unknown_field"}},

	{"null/reject-optional", have, `{"size":null,"address":{"city":"c","zip":null}}`, &ReadOptions{Nulls: RejectNulls}, []string{"/size null", "/address/zip null"}},
	{"null/reject-required", have, `{"name":null}`, &ReadOptions{Nulls: RejectNulls}, []string{"/name required"}},
	{"null/reject-open-object", have, `{"meta":{"a":{"b/c":null},"d":[null]}}`, &ReadOptions{Nulls: RejectNulls}, []string{"/meta/a/b~1c null"}},
	{"null/ignore-required", have, `{"name":null,"size":1}`, &ReadOptions{Nulls: IgnoreNulls}, nil},
	{"null/ignore-required-on-insert", "", `{"id":"1","name":null}`, &ReadOptions{Nulls: IgnoreNulls}, []string{"/name required"}},

	{"external-id/empty", "", `{"id":"","name":"n"}`, nil, []string{"/id external_id"}},
	{"external-id/nul", "", `{"id":"a\u0000b","name":"n"}`, nil, []string{"/id external_id"}},
	{"external-id/512-bytes", "", `{"id":"` + strings.Repeat("é", 256) + `","name":"n"}`, nil, nil},
	{"external-id/513-bytes", "", `{"id":"` + strings.Repeat("é", 256) + `a","name":"n"}`, nil, []string{"/id external_id"}},
	{"external-id/512-bytes-decoded", "", `{"id":"` + strings.Repeat(`\u0061`, 512) + `","name":"n"}`, nil, nil},
	{"external-id/number", "", `{"id":1,"name":"n"}`, nil, []string{"/id type"}},
	{"external-id/other", have, `{"id":"2"}`, &ReadOptions{ExternalID: "1"}, []string{"/id external_id"}},
	{"external-id/same", have, `{"\u0069d":"\u0031"}`, &ReadOptions{ExternalID: "1"}, nil},
	{"external-id/absent", have, `{"size":1}`, &ReadOptions{ExternalID: "1"}, nil},

	{"not-an-object/array", have, `[]`, nil, []string{" type"}},
	{"not-an-object/null", have, ` null `, nil, []string{" type"}},
	{"ignore-unknown/required-still-missing", "", `{"x":1}`, &ReadOptions{UnknownFields: IgnoreUnknown}, []string{"/id required", "/name required"}},
}

func TestApply(t *testing.T) {
	s := nested(t)
	for _, tt := range checkTests {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.request
			_, err := write(s, tt.stored, tt.request, tt.opts)
			assert.Equal(t, tt.want, lines(t, err), "%v", err)
			assert.Equal(t, before, tt.request)
			if tt.stored == "" && (tt.opts == nil || *tt.opts == ReadOptions{}) {
				assert.Equal(t, err, s.Validate([]byte(tt.request)), "Validate")
			}
		})
	}
}

// What is dropped, what is merged, what is stored, what is shown.
func TestApplyDocuments(t *testing.T) {
	ignore := &ReadOptions{UnknownFields: IgnoreUnknown}
	tests := []struct {
		name                         string
		stored, request              string
		opts                         *ReadOptions
		patch, wantStored, wantShown string // "" in patch: not looked at; in wantShown: wantStored
		dropped                      []string
	}{
		{"fill/insert", "", `{"id":"1","name":"n"}`, nil, "", full + `"live":true}`, "", nil},
		{"fill/never-overwrites", "", full + `"live":false}`, nil, "", full + `"live":false}`, "", nil},
		{"fill/null-resets", full + `"live":false}`, `{"live":null}`, nil, "", full + `"live":true}`, "", nil},
		{"fill/update-of-an-older-document", have, `{"size":1}`, nil, "", full + `"size":1,"live":true}`, "", nil},
		{"fill/nested", "", full + `"live":true,"address":{"city":"c"}}`, nil, "", full + `"live":true,"address":{"city":"c","country":"US"}}`, "", nil},
		{"fill/creates-no-object", "", full + `"live":true}`, nil, "", full + `"live":true}`, "", nil},
		{"fill/not-through-a-wrong-type", full + `"live":true,"address":7}`, `{"size":1}`, nil, "", full + `"live":true,"address":7,"size":1}`, "", nil},
		{"ignore/top", "", full + `"x":{"y":1},"live":true,"a/b~c\n":[]}`, ignore, full + `"live":true}`, full + `"live":true}`, "", []string{"/x", "/a~1b~0c\n"}},
		{"ignore/nested", "", full + `"live":true,"address":{"x":1,"city":"c","country":"DE"}}`, ignore, full + `"live":true,"address":{"city":"c","country":"DE"}}`, full + `"live":true,"address":{"city":"c","country":"DE"}}`, "", []string{"/address/x"}},
		{"ignore/in-items", "", full + `"live":true,"lines":[{"sku":"s","x":1,"qty":1.0}]}`, ignore, full + `"live":true,"lines":[{"sku":"s","qty":1.0}]}`, full + `"live":true,"lines":[{"sku":"s","qty":1.0}]}`, "", []string{"/lines/0/x"}},
		{"ignore/null-not-stored", full + `"live":true}`, `{"x":null}`, ignore, "", full + `"live":true}`, "", []string{"/x"}},
		{"ignore/null-deletes-stored", full + `"live":true,"x":1}`, `{"w":1,"x":null,"y":null}`, ignore, `{"x":null}`, full + `"live":true}`, "", []string{"/w", "/y"}},
		{"ignore/both-policies", full + `"live":true,"x":1}`, `{"x":null,"name":null,"size":2}`, &ReadOptions{UnknownFields: IgnoreUnknown, Nulls: IgnoreNulls}, `{"size":2}`, full + `"live":true,"x":1,"size":2}`, full + `"live":true,"size":2}`, []string{"/x"}},
		{"nulls/ignored-nested", full + `"live":true,"address":{"city":"c","country":"DE"}}`, `{"address":{"city":null,"zip":"z"}}`, &ReadOptions{Nulls: IgnoreNulls}, `{"address":{"zip":"z"}}`, full + `"live":true,"address":{"city":"c","country":"DE","zip":"z"}}`, "", nil},
		{"nulls/ignored-in-open-object", full + `"live":true,"meta":{"a":1}}`, `{"meta":{"a":null,"b":{"c":null,"d":[null]}}}`, &ReadOptions{Nulls: IgnoreNulls}, `{"meta":{"b":{"d":[null]}}}`, full + `"live":true,"meta":{"a":1,"b":{"d":[null]}}}`, "", nil},
		{"nulls/delete-in-open-object", full + `"live":true,"meta":{"a":1}}`, `{"meta":{"a":null}}`, nil, "", full + `"live":true,"meta":{}}`, "", nil},
		{"shown/undeclared-is-kept-and-hidden", full + `"old":1,"live":true}`, `{"size":1}`, nil, "", full + `"old":1,"live":true,"size":1}`, full + `"live":true,"size":1}`, nil},
		{"shown/filled-and-hidden", full + `"old":1}`, `{"size":1}`, nil, "", full + `"old":1,"size":1,"live":true}`, full + `"size":1,"live":true}`, nil},
		{"map/merges", full + `"live":true,"labels":{"a":"1","b":"2"}}`, `{"labels":{"b":null,"c":"3"}}`, nil, "", full + `"live":true,"labels":{"a":"1","c":"3"}}`, "", nil},
		{"map/null-on-absent", full + `"live":true}`, `{"labels":{"b":null}}`, nil, "", full + `"live":true,"labels":{}}`, "", nil},
		{"map/nulls-ignored", full + `"live":true}`, `{"labels":{"b":null,"a":"1"}}`, &ReadOptions{Nulls: IgnoreNulls}, `{"labels":{"a":"1"}}`, full + `"live":true,"labels":{"a":"1"}}`, "", nil},
		{"map/fills-a-new-value", full + `"live":true}`, `{"sites":{"a":{"city":"c"}}}`, nil, "", full + `"live":true,"sites":{"a":{"city":"c","open":true}}}`, "", nil},
		{"map/fills-on-insert", "", full + `"live":true,"sites":{"a":{"city":"c"},"home":"h"}}`, nil, "", full + `"live":true,"sites":{"a":{"city":"c","open":true},"home":"h"}}`, "", nil},
		{"map/fills-a-stored-value", full + `"live":true,"sites":{"a":{"city":"c"}}}`, `{"sites":{"a":{"city":"d"}}}`, nil, "", full + `"live":true,"sites":{"a":{"city":"d","open":true}}}`, "", nil},
		{"map/resets", full + `"live":true,"sites":{"a":{"city":"c","open":false}}}`, `{"sites":{"a":{"open":null}}}`, nil, "", full + `"live":true,"sites":{"a":{"city":"c","open":true}}}`, "", nil},
		{"map/deletes-a-value", full + `"live":true,"sites":{"a":{"city":"c","open":true},"b":{"city":"c","open":true}}}`, `{"sites":{"a":null}}`, nil, "", full + `"live":true,"sites":{"b":{"city":"c","open":true}}}`, "", nil},
		{"map/unknown-is-dropped", "", full + `"live":true,"sites":{"a":{"city":"c","open":true,"x/y":1}}}`, ignore, full + `"live":true,"sites":{"a":{"city":"c","open":true}}}`, full + `"live":true,"sites":{"a":{"city":"c","open":true}}}`, "", []string{"/sites/a/x~1y"}},
		{"map/dropped-has-exact-names", "", full + `"live":true,"sites":{"` + strings.Repeat("n", 150) + `<\n":{"city":"c","open":true,"x":1}}}`, ignore, "", full + `"live":true,"sites":{"` + strings.Repeat("n", 150) + `<\n":{"city":"c","open":true}}}`, "", []string{"/sites/" + strings.Repeat("n", 150) + "<\n/x"}},
		{"map/dropped-below-a-long-name", "", full + `"live":true,"sites":{"` + strings.Repeat("n", 300) + `":{"city":"c","open":true,"x":1}}}`, ignore, "", full + `"live":true,"sites":{"` + strings.Repeat("n", 300) + `":{"city":"c","open":true}}}`, "", []string{"/sites/…/x"}},
		{"map/undeclared-is-hidden", full + `"live":true,"sites":{"a":{"city":"c","open":true,"x":1}}}`, `{"size":1}`, nil, "", full + `"live":true,"sites":{"a":{"city":"c","open":true,"x":1}},"size":1}`, full + `"live":true,"sites":{"a":{"city":"c","open":true}},"size":1}`, nil},
		{"map/undeclared-is-deleted", full + `"live":true,"sites":{"a":{"city":"c","open":true,"x":1}}}`, `{"sites":{"a":{"x":null}}}`, nil, "", full + `"live":true,"sites":{"a":{"city":"c","open":true}}}`, "", nil},
		{"map/scalar-is-replaced", full + `"live":true,"labels":5}`, `{"labels":{"a":"1"}}`, nil, "", full + `"live":true,"labels":{"a":"1"}}`, "", nil},
		{"map/unknown-names-are-fields-elsewhere", "", full + `"live":true,"labels":{"size":"1","sites":"2"}}`, nil, "", full + `"live":true,"labels":{"size":"1","sites":"2"}}`, "", nil},
		{"text/is-kept", "", `{ "id" : "\u0031", "price": 1.0E+2, "name":"\/", "live":true }`, nil, "", `{"id":"\u0031","price":1.0E+2,"name":"\/","live":true}`, "", nil},
	}
	s := nested(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := s.Read([]byte(tt.request), tt.opts)
			require.NoError(t, err)
			defer r.Close()
			for i := range 4 { // as in a loop that retries
				if i == 2 {
					r.Shrink()
				}
				doc, err := r.Apply([]byte(tt.stored))
				require.NoError(t, err)
				if tt.patch != "" && i < 2 {
					assert.Equal(t, tt.patch, patchOf(&r))
				}
				assert.Equal(t, tt.wantStored, string(doc.Stored))
				if tt.wantShown == "" {
					assert.Equal(t, tt.wantStored, string(doc.Shown))
					assert.Same(t, &doc.Stored[0], &doc.Shown[0], "Shown aliases Stored")
				} else {
					assert.Equal(t, tt.wantShown, string(doc.Shown))
				}
				assert.Equal(t, tt.dropped, doc.Dropped)
				shown, err := s.Show(doc.Stored, nil)
				require.NoError(t, err)
				assert.Equal(t, string(doc.Shown), string(shown), "Show agrees with Apply")
			}
		})
	}
}

func TestExternalID(t *testing.T) {
	tests := []struct {
		name, request, want string
	}{
		{"plain", `{"id":"a"}`, "a"},
		{"escaped", `{"\u0069d":"a\/\u00e9"}`, "a/é"},
		{"beside-violations", `{"x":1,"id":"a"}`, "a"},
		{"absent", `{}`, ""},
		{"null", `{"id":null}`, ""},
		{"number", `{"id":1}`, ""},
		{"empty", `{"id":""}`, ""},
		{"nul", `{"id":"\u0000"}`, ""},
		{"nested", `{"meta":{"id":"a"}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := nested(t).Read([]byte(tt.request), nil)
			require.NoError(t, err)
			id, ok := r.ExternalID()
			assert.Equal(t, tt.want, id)
			assert.Equal(t, tt.want != "", ok)
		})
	}
}

func TestSyntax(t *testing.T) {
	s := nested(t)
	for _, tt := range []struct {
		name, input string
		offset      int
	}{
		{"nil", "", 0},
		{"garbage", `{"id":x}`, 6},
		{"duplicate", `{"id":"1","\u0069d":"2"}`, 10},
		{"trailing", `{} {}`, 3},
		{"depth", strings.Repeat(`{"meta":`, 65), 64 * 8},
		{"million-levels", strings.Repeat(`[`, 1_000_000), 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var syn *SyntaxError
			require.ErrorAs(t, s.Validate([]byte(tt.input)), &syn)
			assert.Equal(t, tt.offset, syn.Offset)
			assert.NotEmpty(t, syn.Reason)
			_, err := s.Read([]byte(tt.input), nil)
			require.ErrorAs(t, err, &syn)
			assert.Contains(t, err.Error(), fmt.Sprint(tt.offset))
		})
	}
}

func TestCorrupt(t *testing.T) {
	s := nested(t)
	for _, tt := range []struct{ name, stored string }{
		{"array", `[]`},
		{"scalar", ` 5`},
		{"blanks", "  "},
		{"garbage", `{"x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := write(s, tt.stored, `{"id":"1","x":null}`, &ReadOptions{UnknownFields: IgnoreUnknown})
			var corrupt *CorruptError
			require.ErrorAs(t, err, &corrupt)
			var syn *SyntaxError
			assert.False(t, errors.As(err, &syn), "not the client's mistake")
		})
	}
	for _, stored := range []string{"", "[]", `{"a":}`} {
		_, err := s.Show([]byte(stored), nil)
		var corrupt *CorruptError
		require.ErrorAs(t, err, &corrupt)
		assert.NotEmpty(t, err.Error())
	}
	var zero Request
	_, err := zero.Apply(nil)
	assert.Error(t, err)
}

// Messages say the kind that was found, never the value.
func TestNoValueInErrors(t *testing.T) {
	const secret = "s3cr3t"
	var fields []string
	for _, name := range []string{"id", "name", "size", "price", "live", "tier", "level", "since", "address", "meta", "tags", "lines", "other"} {
		for _, v := range []string{`"` + secret + `"`, `["` + secret + `"]`, `{"x":"` + secret + `"}`, "1337.5", `[1337.5,{"sku":"` + secret + `","qty":"` + secret + `"}]`} {
			fields = append(fields, `"`+name+`":`+v)
		}
	}
	s := nested(t)
	for _, f := range fields {
		if err := s.Validate([]byte("{" + f + "}")); err != nil {
			assert.NotContains(t, err.Error(), secret)
			assert.NotContains(t, err.Error(), "1337")
			assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), secret)
		}
	}
}

func TestMessages(t *testing.T) {
	s := nested(t)
	for _, tt := range []struct{ name, request, want string }{
		{"type", `{"name":1}`, "/name: expected string, found number"},
		{"fraction", `{"size":1.5}`, "/size: expected integer, found number with a fraction"},
		{"integer", `{"size":"1"}`, "/size: expected integer, found string"},
		{"enum", `{"tier":"x"}`, `/tier: expected one of "gold", "silver", "é"`},
		{"near-miss", `{"adress":{}}`, `/adress: unknown field, did you mean "address"?`},
		{"no-near-miss", `{"qqqqqqqq":{}}`, `/qqqqqqqq: unknown field`},
		{"near-miss-in-items", `{"lines":[{"sku":"s","qty":1,"partNo":1,"Note":"a"}]}`, `/lines/0/partNo: unknown field; /lines/0/Note: unknown field, did you mean "note"?`},
		{"whole", `[]`, `expected object, found array`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := write(s, have, tt.request, nil)
			require.Error(t, err)
			assert.Equal(t, "schema: invalid document: "+tt.want, err.Error())
		})
	}
}

// TestManyViolations: 100 are reported, and the others are counted exactly. TestGrowth counts
// the work.
func TestManyViolations(t *testing.T) {
	err := Customers().Validate(hostile(1 << 20))
	var v *ValidationError
	require.ErrorAs(t, err, &v)
	assert.Len(t, v.Violations, 100)
	assert.Equal(t, strings.Count(string(hostile(1<<20)), ":")-100+4, v.More)
	assert.Less(t, len(err.Error()), 5000)

	items := `{"id":"1","name":"n","lines":[` + strings.Repeat("{},", 99_999) + `{}]}`
	require.ErrorAs(t, nested(t).Validate([]byte(items)), &v)
	assert.Equal(t, 200_000, len(v.Violations)+v.More)
	assert.EqualValues(t, "/lines/49/qty", v.Violations[99].Pointer)

	// Nulls on undeclared fields, over a stored document with as many.
	_, err = write(nested(t), string(hostile(1<<19)), strings.ReplaceAll(string(hostile(1<<20)), ":0", ":null"), nil)
	require.ErrorAs(t, err, &v)
}

// The worst rendering of 100 violations stays small.
func TestRenderedSize(t *testing.T) {
	for _, name := range []string{`\"`, `\\`, "<", "&", "\u007f", "é", "\U0001F600", "/", "~", "\u202e", "customerDetailUrl_"} {
		doc := []byte(`{`)
		for i := range 200 {
			doc = fmt.Appendf(doc, `"%s%d":0,`, strings.Repeat(name, 100/len(name)), i)
		}
		doc[len(doc)-1] = '}'
		var v *ValidationError
		require.ErrorAs(t, Customers().Validate(doc), &v)
		var all []string
		for _, v := range v.Violations {
			assert.LessOrEqual(t, len(v.Pointer), 1+64+len("…"))
			all = append(all, v.String())
		}
		rendered, err := json.Marshal(all)
		require.NoError(t, err)
		assert.Less(t, len(rendered), 40<<10, name)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := nested(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				_, err := write(s, have, `{"id":"1","x":1,"address":{"geo":{"lat":1}}}`, nil)
				assert.Equal(t, []string{"/x unknown_field", "/address/city required", "/address/geo/lon required"}, lines(t, err))
				doc, err := write(s, have, `{"size":1}`, nil)
				assert.NoError(t, err)
				assert.Equal(t, full+`"size":1,"live":true}`, string(doc.Stored))
			}
		})
	}
	wg.Wait()
}

func TestInvalidOptions(t *testing.T) {
	for _, opts := range []ReadOptions{{UnknownFields: 2}, {UnknownFields: -1}, {Nulls: 3}, {Nulls: -1}} {
		_, err := nested(t).Read([]byte(have), &opts)
		assert.ErrorContains(t, err, "schema: invalid option: ", "%+v", opts)
	}
}

// TestApplyKeepsNothing: what is to be stored shares no memory with the request, of
// whatever size, nor with what a later Apply makes.
func TestApplyKeepsNothing(t *testing.T) {
	s := nested(t)
	for _, size := range []int{10, 100_000} {
		long := strings.Repeat("x", size)
		request := []byte(full + `"live":true,"any":["` + long + `"]}`)
		for _, stored := range []string{"", have, full + `"live":true}`} {
			r, err := s.Read(request, nil)
			require.NoError(t, err)
			doc, err := r.Apply([]byte(stored))
			require.NoError(t, err)
			want := string(doc.Stored)
			_, err = r.Apply([]byte(have))
			require.NoError(t, err)
			r.Close()
			copied := bytes.Clone(request)
			for i := range request {
				request[i] = '!'
			}
			assert.Equal(t, want, string(doc.Stored))
			assert.Equal(t, want, string(doc.Shown))
			request = copied
		}
	}
}

// TestShrinkAfterApply: a request that was applied, checked and shrunk still has every
// member.
func TestShrinkAfterApply(t *testing.T) {
	s := MustCompile(Definition{ID: Customers().ID(), Name: "things", ExternalID: "id", Fields: []Field{
		{Name: "id", Type: String, Required: true}, {Name: "a", Type: String}, {Name: "d", Type: Integer, Default: 7},
	}})
	for _, tt := range []struct{ request, first, second, want string }{
		{`{"id":"1","a":"new"}`, `{"id":"1","a":"old","d":7}`, `{"d":7}`, `{"d":7,"id":"1","a":"new"}`},
		{`{"id":"1","d":null}`, `{"id":"1","d":7}`, `{"id":"1","d":8}`, `{"id":"1","d":7}`},
	} {
		r, err := s.Read([]byte(tt.request), nil)
		require.NoError(t, err)
		_, err = r.Apply([]byte(tt.first))
		require.NoError(t, err)
		require.NoError(t, r.Check())
		r.Shrink()
		d, err := r.Apply([]byte(tt.second))
		require.NoError(t, err)
		assert.Equal(t, tt.want, string(d.Stored))
		assert.True(t, d.Changed)
		r.Close()
	}
}

func TestZeroRequest(t *testing.T) {
	var r Request
	_, err := r.Apply(nil)
	assert.Error(t, err)
	assert.Error(t, r.Check())
	r.Shrink()
	r.Close()
}
