package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/schema"
)

// BenchmarkCompare runs every contender of every set, with the same inputs as
// the command. Its numbers come from minutes apart: for ratios use the command.
func BenchmarkCompare(b *testing.B) {
	for _, source := range sources() {
		b.Run(source.name, func(b *testing.B) {
			if source.large && testing.Short() {
				b.Skip("large")
			}
			s, err := source.open()
			require.NoError(b, err)
			for _, c := range s.contenders {
				b.Run(strings.ReplaceAll(c.name, "/", "-"), func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(s.bytes))
					for i := 0; b.Loop(); i++ {
						if _, err := c.run(i); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

// BenchmarkGrowth is the command's growth tables: look at MB/s.
func BenchmarkGrowth(b *testing.B) {
	for _, sweep := range sweeps {
		name, _, _ := strings.Cut(sweep.name, ":")
		for n := sweep.from; n <= sweep.to; n *= 2 {
			s := growthSet(sweep.input(n))
			b.Run(name+"/"+sweep.unit+"="+strconv.Itoa(n), func(b *testing.B) {
				b.SetBytes(int64(s.bytes))
				for i := 0; b.Loop(); i++ {
					if _, err := s.contenders[0].run(i); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func decode(t testing.TB, text []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v), "%.300q", text)
	return v
}

func TestInputs(t *testing.T) {
	for _, test := range []struct {
		name          string
		list          []input
		target, patch int // bytes, on average
	}{
		{"ascii", customers(ascii, rotating), 350, 120},
		{"cjk", customers(cjk, rotating), 350, 120},
		{"escapes", customers(escapes, rotating), 350, 120},
		{"mixed", mixed(rotating), 430, 140},
		{"reordered", reordered(rotating), 350, 120},
		{"pretty", pretty(rotating), 390, 140},
		{"fields", orders(rotating), 450, 120},
		{"nested", nested(rotating), 10_240, 250},
		{"wide", wide(4), 1_000_000, 90_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, patch := 0, 0
			seen := map[string]bool{}
			for _, in := range test.list {
				target, patch = target+len(in.target), patch+len(in.patch)
				assert.False(t, seen[string(in.target)], "a document comes twice")
				seen[string(in.target)] = true
				changed, err := merge.Patch(in.target, in.patch)
				require.NoError(t, err, "%s\n%s", in.target, in.patch)
				assert.False(t, merge.Equal(changed, in.target), "a patch changes nothing")
				again, err := merge.Patch(changed, in.other)
				require.NoError(t, err, "%s", in.other)
				assert.False(t, merge.Equal(changed, again), "the other patch changes nothing")
			}
			n := len(test.list)
			t.Logf("%d and %d bytes", target/n, patch/n)
			assert.InEpsilon(t, test.target, target/n, 0.1)
			assert.InEpsilon(t, test.patch, patch/n, 0.1)
		})
	}
	assert.Equal(t, customers(cjk, 9), customers(cjk, 9), "the same in every run")
}

// TestContendersAgree holds that all who make something come to the same result,
// or the comparison would compare different things.
func TestContendersAgree(t *testing.T) {
	for _, source := range sources() {
		if source.large {
			continue
		}
		t.Run(source.name, func(t *testing.T) {
			s, err := source.open()
			require.NoError(t, err)
			for i := range rotating {
				if s.bytes > 1<<18 && i > 0 {
					break
				}
				var want any
				for k, c := range s.contenders {
					got, err := c.run(i)
					require.NoError(t, err, c.name)
					switch {
					case got == nil:
					case k == 0:
						want = decode(t, got)
					default:
						assert.Equal(t, want, decode(t, got), "%s, document %d", c.name, i)
					}
				}
			}
		})
	}
}

// TestSchemasAgree holds that the JSON Schema says what the built-in schema says.
func TestSchemasAgree(t *testing.T) {
	compiled, err := compileJSONSchema([]byte(customersJSONSchema))
	require.NoError(t, err)
	const valid = `{"customerId":"1","firstName":"a","lastName":"b","createdAt":"2024-02-29T00:00:00Z"}`
	for _, test := range []struct {
		patch string
		valid bool
	}{
		{`{}`, true},
		{`{"email":"c","emailOptOut":true}`, true},
		{`{"customerId":""}`, false},
		{`{"firstName":null}`, false},
		{`{"emailOptOut":"true"}`, false},
		{`{"createdAt":"2023-02-29T00:00:00Z"}`, false},
		{`{"createdAt":"yesterday"}`, false},
		{`{"unknown":1}`, false},
	} {
		doc, err := merge.Patch([]byte(valid), []byte(test.patch))
		require.NoError(t, err)
		assert.Equal(t, test.valid, schema.Customers().Validate(doc) == nil, "ours, %s", test.patch)
		assert.Equal(t, test.valid, compiled.Validate(decode(t, doc)) == nil, "theirs, %s", test.patch)
	}
}

// TestTable runs the command's parts at their shortest.
func TestTable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	var out bytes.Buffer
	require.NoError(t, compare(&out, pace{rounds: 1, batch: time.Microsecond}, false))
	for _, want := range []string{"merge.Append", "merge.Patch", "schema.Validate", "AppendJSON", "Collection.Create", "Growth by width", "Growth by deletions", "Growth by depth"} {
		assert.Contains(t, out.String(), want)
	}
}

// TestSizes runs the contenders of -large over every input, with small stores.
func TestSizes(t *testing.T) {
	s, err := sizesSet(300, 600)
	require.NoError(t, err)
	for _, c := range s.contenders {
		for i := range 1300 {
			_, err := c.run(i)
			require.NoError(t, err, "%s, call %d", c.name, i)
		}
	}
}

// TestChecksAgree: the two libraries judge documents with one wrong value alike, and the
// good ones. (It takes "@b" for an e-mail address, and is not asked about it.)
func TestChecksAgree(t *testing.T) {
	theirs, err := checkedJSONSchema()
	require.NoError(t, err)
	ours := checkedSchema()
	values := []string{`""`, `"a"`, `"A-1"`, `"AB-12345"`, `"` + strings.Repeat("é", 64) + `"`, `"` + strings.Repeat("é", 65) + `"`, `0`, `-0.0`, `-1`, `1e400`,
		`0.001`, `19.99`, `65535`, `65536.0`, `2147483648`, `1e-400`, `999999.99999`, `1e6`, `true`, `[]`, `["a","a"]`, `["a","\u0061"]`, `["` + strings.Repeat("a", 33) + `"]`,
		`["0","1","2","3","4","5","6","7","8","9","10"]`, `{}`, `{"a":1}`, `{"a":"` + strings.Repeat("é", 63) + `"}`, `{"a":"` + strings.Repeat("é", 64) + `"}`,
		`"2024-02-30T00:00:00Z"`, `"2024-02-29T00:00:00Z"`, `"0191e4a0-0000-7000-8000-000000000001"`, `"a@b.example"`, `"a.b"`, `"usd"`, `"USD"`, `"open"`}
	verdicts := make(map[bool]int)
	for i, document := range checked(20) {
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(document, &members))
		for _, f := range checkedFields[1:] {
			for _, value := range values {
				members[f.field.Name] = json.RawMessage(value)
				text, err := json.Marshal(members)
				require.NoError(t, err)
				var decoded any
				decoded, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
				require.NoError(t, err)
				verdict := theirs.Validate(decoded) == nil
				require.Equal(t, verdict, ours.Validate(text) == nil, "%s %s: %v %v", f.field.Name, value, theirs.Validate(decoded), ours.Validate(text))
				verdicts[verdict]++
			}
			require.NoError(t, json.Unmarshal(document, &members))
		}
		require.NoError(t, ours.Validate(document), i)
	}
	assert.Greater(t, min(verdicts[true], verdicts[false]), 100, verdicts)
}
