package resource_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// marker stands in every value of the hostile requests; no error may hold it.
const marker = "s3cr3t"

// maxText bounds what an error may print, with all its violations, in bytes.
const maxText = 64 << 10

// allText returns everything that an error has to say.
func allText(err error) string {
	text := err.Error() + fmt.Sprintf("%+v", err)
	var v *schema.ValidationError
	if errors.As(err, &v) {
		for _, one := range v.Violations {
			text += one.String() + "\n"
		}
	}
	return text
}

func manyMembers(n int) string {
	var b strings.Builder
	b.WriteString(`{"customerId":"` + marker + `","firstName":"A","lastName":"B","createdAt":"2024-05-01T10:00:00Z"`)
	for i := range n {
		fmt.Fprintf(&b, `,"f%d":"%s"`, i, marker)
	}
	return b.String() + "}"
}

// TestHostileRequests sends what no client should: each is refused with a typed
// error, stores nothing, and quotes nothing.
func TestHostileRequests(t *testing.T) {
	with := func(more string) string { return strings.Replace(cust(more), "c-1", marker, 1) }
	email := func(value string) string { return with(`,"email":` + value) }
	million := strings.Repeat("7", 1<<20)
	for _, tt := range []struct {
		name, request string
		want          want
	}{
		{"1 MiB of [", strings.Repeat("[", 1<<20), notStrict},
		{"1 MiB of {", strings.Repeat(`{"a":`, 1<<20/5), notStrict},
		{"1 MiB of blanks", strings.Repeat(" ", 1<<20), notStrict},
		{"NULs", strings.Repeat("\x00", 1<<10), notStrict},
		{"quotes", strings.Repeat(`"`, 1<<10), notStrict},
		{"1 MiB of backslashes", `{"` + strings.Repeat(`\`, 1<<20), notStrict},
		{"deep", email(strings.Repeat("[", 64) + `"` + marker + `"` + strings.Repeat("]", 64)), notStrict},
		{"duplicate name", with(`,"email":"` + marker + `","email":"` + marker + `"`), notStrict},
		{"duplicate name, escaped", with(`,"email":"` + marker + `","\u0065mail":"` + marker + `"`), notStrict},
		{"duplicate name, surrogate pair", with(`,"😀":"` + marker + `","\uD83D\uDE00":"` + marker + `"`), notStrict},
		{"duplicate name at the end of many", strings.TrimSuffix(manyMembers(100_000), "}") + `,"f0":1}`, notStrict},
		{"invalid UTF-8", email(`"` + marker + "\xff" + `"`), notStrict},
		{"invalid UTF-8 in a name", with(`,"` + "\xc3" + `":"` + marker + `"`), notStrict},
		{"cut UTF-8 at the end", email(`"` + marker + "\xf0\x9f\x98" + `"`), notStrict},
		{"lone surrogate", email(`"` + marker + `\ud83d"`), notStrict},
		{"surrogates the wrong way round", email(`"` + marker + `\ude00\ud83d"`), notStrict},
		{"lone surrogate in a name", with(`,"\udfff":"` + marker + `"`), notStrict},
		{"byte order mark", "\ufeff" + with(``), notStrict},
		{"UTF-16", "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", notStrict},
		{"trailing bytes", with(``) + marker, notStrict},
		{"trailing NUL", with(``) + "\x00", notStrict},
		{"trailing brace", with(``) + "}", notStrict},
		{"a bad number of a million digits", email(million + "." + "x"), notStrict},
		{"an array", `["` + marker + `"]`, invalid(" type")},
		{"a string", `"` + marker + `"`, invalid(" type")},
		{"a number", million, invalid(" type")},
		{"true", `true`, invalid(" type")},
		{"an object in an object", `{"data":` + with(``) + `}`, invalid("/data unknown_field", "/customerId required", "/firstName required", "/lastName required", "/createdAt required")},
		{"a number of a million digits", email(million), invalid("/email type")},
		{"a number with a million digits behind e", email("1e" + million), invalid("/email type")},
		{"a date of a million digits", strings.Replace(with(``), "2024-05-01T10:00:00Z", "2024-05-01T10:00:00."+million+"X", 1), invalid("/createdAt format")},
		{"a name of 1 MiB", with(`,"` + strings.Repeat("n", 1<<20) + `":"` + marker + `"`), invalid("/" + strings.Repeat("n", 64) + "… unknown_field")},
		{"a name that is a path", with(`,"../../etc":"` + marker + `"`), invalid("/..~1..~1etc unknown_field")},
		{"a name for a terminal", with(`,"\u001b[31m\r\n":"` + marker + `"`), invalid(`/\u001b[31m\u000d\u000a unknown_field`)},
		{"a name for a page", with(`,"<script>":"` + marker + `"`), invalid(`/\u003cscript\u003e unknown_field`)},
		{"__proto__", with(`,"__proto__":{"` + "x" + `":"` + marker + `"}`), invalid("/__proto__ unknown_field")},
		{"every value of a wrong type", `{"customerId":["` + marker + `"],"email":{"a":"` + marker + `"},"phone":["` + marker + `"],"firstName":true,"lastName":5,"emailOptOut":"` + marker + `","smsOptOut":"` + marker + `","customerDetailUrl":["` + marker + `"],"createdAt":"` + marker + `"}`,
			invalid("/customerId type", "/email type", "/phone type", "/firstName type", "/lastName type", "/emailOptOut type", "/smsOptOut type", "/customerDetailUrl type", "/createdAt format")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, exists := range []bool{false, true} {
				c, store := customers(t)
				var old storage.Record
				if exists {
					old = put(t, store, customerKey(marker), strings.Replace(cust(outs), "c-1", marker, 1))
				}
				policies := []*resource.WriteOptions{nil, &complete, &reject}
				if len(tt.request) > 1<<16 {
					policies = policies[:1] // once is long enough
				}
				for _, opts := range policies {
					_, err := c.Create(ctx, tenant, []byte(tt.request), opts)
					require.Error(t, err)
					assert.Equal(t, tt.want, classify(err))
					text := allText(err)
					assert.Less(t, len(text), maxText)
					assert.NotContains(t, text, marker)
					assert.NotContains(t, text, "7777")
					assert.Equal(t, old, stored(t, store, customerKey(marker)))
					assert.Equal(t, len(old.Key.ExternalID) > 0, count(t, store, tenant, schema.Customers()) == 1)
				}
			}
		})
	}
}

func TestManyMembers(t *testing.T) {
	request := []byte(manyMembers(100_000))
	c, store := customers(t)
	_, err := c.Create(ctx, tenant, request, nil)
	var v *schema.ValidationError
	require.ErrorAs(t, err, &v)
	assert.Len(t, v.Violations, 100)
	assert.Equal(t, 99_900, v.More)
	assert.Less(t, len(allText(err)), maxText)
	assert.NotContains(t, allText(err), marker)
	assert.Contains(t, err.Error(), " more")
	assert.Zero(t, count(t, store, tenant, schema.Customers()))

	res, err := c.Create(ctx, tenant, request, &ignore)
	require.NoError(t, err)
	assert.Len(t, res.Dropped, 100_000)
	assert.Equal(t, strings.Replace(cust(outs), "c-1", marker, 1), strings.NewReplacer(`"A"`, `"Ada"`, `"B"`, `"Byron"`).Replace(string(res.Data())))
}

// TestHundredViolations prints the largest error that customers allow: 100
// unknown names that are all escapes.
func TestHundredViolations(t *testing.T) {
	c, _ := customers(t)
	doc := map[string]string{}
	for i := range 200 {
		doc[strings.Repeat("\u202e", 50)+fmt.Sprint(i)] = marker
	}
	request, err := json.Marshal(doc)
	require.NoError(t, err)
	_, err = c.Create(ctx, tenant, request, nil)
	require.Len(t, violations(err), 100)
	assert.Less(t, len(allText(err)), maxText)
	assert.NotContains(t, allText(err), marker)
	assert.NotContains(t, allText(err), "\u202e")
}

// TestLongPointers makes the longest pointers there are: a row of client-made
// names in an open object, in each of 100 violations.
func TestLongPointers(t *testing.T) {
	c := open(t, person, memory.New(), fixed)
	for _, letter := range []string{"n", "\u202e", "~", "/"} {
		request := `{"id":"1","free":` + strings.Repeat(`{"`+strings.Repeat(letter, 64)+`":`, 61) + `{`
		for i := range 100 {
			if i > 0 {
				request += ","
			}
			request += `"` + strings.Repeat("x", i+1) + `":null`
		}
		request += strings.Repeat("}", 63)
		_, err := c.Create(ctx, tenant, []byte(request), &rejectNulls)
		require.Len(t, violations(err), 100)
		assert.Less(t, len(allText(err)), maxText, "for a request of %d bytes", len(request))
	}
}

// TestCutOff sends each beginning of a valid request.
func TestCutOff(t *testing.T) {
	request := strings.NewReplacer("Ada", marker, "Byron", `\ud83d\ude00é`).Replace(cust(`,"email":null,"smsOptOut":true`))
	for _, data := range []string{``, cust(outs)} {
		c, store := customers(t)
		var old storage.Record
		if data != "" {
			old = put(t, store, customerKey("c-1"), data)
		}
		for i := range len(request) {
			_, err := c.Create(ctx, tenant, []byte(request[:i]), nil)
			var syntax *schema.SyntaxError
			require.ErrorAs(t, err, &syntax, "cut at %d", i)
			require.LessOrEqual(t, syntax.Offset, i)
			require.NotContains(t, err.Error(), marker)
		}
		require.Equal(t, old, stored(t, store, customerKey("c-1")))
		_, err := c.Create(ctx, tenant, []byte(request), nil)
		require.NoError(t, err, "whole")
	}
}

// TestHostileExternalIDs: what may be the external id of a new resource is stored and
// found under exactly these bytes, everything else is a violation.
func TestHostileExternalIDs(t *testing.T) {
	c, store := customers(t)
	n := 0
	for _, tt := range []struct {
		name, id string
		ok       bool
	}{
		{"empty", "", false},
		{"one byte", "x", true},
		{"512 bytes", strings.Repeat("x", 512), true},
		{"513 bytes", strings.Repeat("x", 513), false},
		{"512 bytes of emoji", strings.Repeat("😀", 128), true},
		{"516 bytes of emoji", strings.Repeat("😀", 129), false},
		{"NUL", "\x00", false},
		{"NUL at the end", "x\x00", false},
		{"replacement character", "\ufffd", true},
		{"noncharacter", "\uffff", false},
		{"noncharacter and a letter", "\uffffx", true},
		{"byte order mark", "\ufeff", false},
		{"byte order mark and a letter", "\ufeffx", true},
		{"dot", ".", true},
		{"dots", "..", true},
		{"slash", "/", true},
		{"path", "../../etc/passwd", true},
		{"percent", "%2e%2e%2f%00", true},
		{"emoji", "👩‍👩‍👧", true},
		{"right to left", "\u202e", false},
		{"right to left and a letter", "\u202ex", true},
		{"control characters", "\x01\x1b\r\n\t\x7f", false},
		{"control characters and a letter", "\x01\x1b\r\n\t\x7fx", true},
		{"blank", " ", false},
		{"blank and a letter", " x", true},
		{"quotes", `"\'`, true},
		{"no-break space", "\u00a0", false},
		{"zero width space", "\u200b\u200b", false},
		{"private use", "\ue000", false},
		{"null", "null", true},
		{"number", "0", true},
		{"SQL", "'; DROP TABLE x; --", true},
		{"page", "<script>alert(1)</script>", true},
		{"line separators", "\u2028\u2029\u0085", false},
		{"line separators and a letter", "\u2028\u2029\u0085x", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			quoted, err := json.Marshal(tt.id)
			require.NoError(t, err)
			request := strings.Replace(cust(``), `"c-1"`, string(quoted), 1)
			res, err := c.Create(ctx, tenant, []byte(request), nil)
			if !tt.ok {
				assert.Equal(t, invalid("/customerId external_id"), classify(err))
				assert.Equal(t, n, count(t, store, tenant, schema.Customers()))
				_, err = c.Get(ctx, tenant, tt.id)
				assert.ErrorIs(t, err, resource.ErrNotFound)
				return
			}
			require.NoError(t, err)
			n++
			assert.Equal(t, resource.Created, res.Outcome)
			assert.Equal(t, tt.id, res.Key().ExternalID)
			got, err := c.Get(ctx, tenant, tt.id)
			require.NoError(t, err)
			assert.Equal(t, res.Revision(), got.Revision())
			var doc struct{ CustomerID string }
			require.NoError(t, json.Unmarshal(got.Data(), &doc))
			assert.Equal(t, tt.id, doc.CustomerID)
		})
	}
	assert.Equal(t, n, count(t, store, tenant, schema.Customers()))
}

// TestExactHugeNumber holds that a number of a million digits is one value like
// any other, and that nothing takes quadratic time over it.
func TestExactHugeNumber(t *testing.T) {
	store := memory.New()
	c := open(t, person, store, fixed)
	for _, digits := range []string{strings.Repeat("9", 1_000_000), "0." + strings.Repeat("0", 999_999) + "1", "1e" + strings.Repeat("9", 1_000_000)} {
		create(t, c, p(`,"score":`+digits))
		res := create(t, c, p(`,"tier":"gold"`))
		assert.True(t, strings.Contains(string(res.Data()), `"score":`+digits+`,`), "the text was kept")
		create(t, c, p(`,"score":null,"tier":null`))
	}
	_, err := c.Create(ctx, tenant, []byte(p(`,"age":0.`+strings.Repeat("7", 1_000_000))), nil)
	assert.Equal(t, invalid("/age type"), classify(err))
	assert.Less(t, len(allText(err)), maxText)
}

// TestStoreErrorsAreSilent holds that errors from the store pass through
// without an external id.
func TestStoreErrorsAreSilent(t *testing.T) {
	for _, sentinel := range []error{storage.ErrUnavailable, storage.ErrTooLarge, storage.ErrClosed} {
		store := &hooked{Store: memory.New(), onPut: func(storage.Record) error { return sentinel }}
		c := open(t, schema.Customers(), store, fixed)
		_, err := c.Create(ctx, tenant, []byte(strings.Replace(cust(``), "c-1", marker, 1)), nil)
		assert.ErrorIs(t, err, sentinel)
		assert.NotContains(t, allText(err), marker)
		var op *storage.OpError
		require.ErrorAs(t, err, &op)
		assert.Equal(t, customerKey(marker), op.Key)
	}
}
