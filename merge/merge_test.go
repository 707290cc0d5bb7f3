package merge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/merge"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rules is the table of merge rules: each row is applied by TestPatch and
// seeds the fuzz targets. want is the exact text.
var rules = []struct{ name, target, patch, want string }{
	// RFC 7396, appendix A, in its order.
	{"RFC7396/appendix-A/01", `{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
	{"RFC7396/appendix-A/02", `{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
	{"RFC7396/appendix-A/03", `{"a":"b"}`, `{"a":null}`, `{}`},
	{"RFC7396/appendix-A/04", `{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
	{"RFC7396/appendix-A/05", `{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
	{"RFC7396/appendix-A/06", `{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
	{"RFC7396/appendix-A/07", `{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
	{"RFC7396/appendix-A/08", `{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
	{"RFC7396/appendix-A/09", `["a","b"]`, `["c","d"]`, `["c","d"]`},
	{"RFC7396/appendix-A/10", `{"a":"b"}`, `["c"]`, `["c"]`},
	{"RFC7396/appendix-A/11", `{"a":"foo"}`, `null`, `null`},
	{"RFC7396/appendix-A/12", `{"a":"foo"}`, `"bar"`, `"bar"`},
	{"RFC7396/appendix-A/13", `{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
	{"RFC7396/appendix-A/14", `[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
	{"RFC7396/appendix-A/15", `{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	{
		"RFC7396/section-3",
		`{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"],"content":"This will be unchanged"}`,
		`{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}`,
		`{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}`,
	},

	{"absent/object", ``, `{"a":1,"b":null}`, `{"a":1}`},
	{"absent/nested nulls", ``, `{"a":{"b":null,"c":{"d":null}},"e":2}`, `{"a":{"c":{}},"e":2}`},
	{"absent/scalar", ``, `5`, `5`},
	{"absent/null", ``, `null`, `null`},

	{"null/on an absent member", `{"a":1}`, `{"b":null}`, `{"a":1}`},
	{"null/on a null member", `{"a":null,"b":1}`, `{"a":null}`, `{"b":1}`},
	{"null/the only member", `{"a":1}`, `{"a":null}`, `{}`},
	{"null/the first member", `{"a":1,"b":2,"c":3}`, `{"a":null}`, `{"b":2,"c":3}`},
	{"null/a middle member", `{"a":1,"b":2,"c":3}`, `{"b":null}`, `{"a":1,"c":3}`},
	{"null/the last member", `{"a":1,"b":2,"c":3}`, `{"c":null}`, `{"a":1,"b":2}`},
	{"null/first and last", `{"a":1,"b":2,"c":3}`, `{"c":null,"a":null}`, `{"b":2}`},
	{"null/all members", `{"a":1,"b":2,"c":3}`, `{"c":null,"a":null,"b":null}`, `{}`},
	{"null/all members, one new", `{"a":1,"b":2}`, `{"a":null,"d":4,"b":null}`, `{"d":4}`},
	{"null/an object", `{"a":{"b":1},"c":2}`, `{"a":null}`, `{"c":2}`},
	{"null/a nested member", `{"a":{"b":1,"c":2}}`, `{"a":{"b":null}}`, `{"a":{"c":2}}`},
	{"null/below a scalar", `{"a":1}`, `{"a":{"b":null}}`, `{"a":{}}`},
	{"null/below an array", `{"a":[1]}`, `{"a":{"b":null}}`, `{"a":{}}`},
	{"null/below an absent member", `{}`, `{"a":{"b":null}}`, `{"a":{}}`},
	{"null/below a null member", `{"a":null}`, `{"a":{"b":null,"c":1}}`, `{"a":{"c":1}}`},
	{"null/a stored null stays", `{"a":null,"b":1}`, `{"b":2}`, `{"a":null,"b":2}`},
	{"null/a stored null is replaced", `{"a":null}`, `{"a":1}`, `{"a":1}`},

	{"array/null is a value", `{"a":[1]}`, `{"a":[null,{"b":null}]}`, `{"a":[null,{"b":null}]}`},
	{"array/null is a value, absent target", ``, `{"a":[null,{"b":null}]}`, `{"a":[null,{"b":null}]}`},
	{"array/null is a value, root", `{"a":1}`, `[null,{"b":null}]`, `[null,{"b":null}]`},
	{"array/taken whole", `{"a":[{"b":1},{"c":2}]}`, `{"a":[{"b":3}]}`, `{"a":[{"b":3}]}`},
	{"array/emptied", `{"a":[1,2]}`, `{"a":[]}`, `{"a":[]}`},

	{"object/over a scalar", `{"a":1}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
	{"object/over an array", `{"a":[1]}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
	{"object/over an absent target", `5`, `{"b":1}`, `{"b":1}`},
	{"object/under a scalar", `{"a":{"b":1}}`, `{"a":2}`, `{"a":2}`},
	{"object/empty patch member keeps", `{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":1}}`},
	{"object/empty patch member over a scalar", `{"a":1}`, `{"a":{}}`, `{"a":{}}`},
	{"object/empty patch", `{"a":1}`, `{}`, `{"a":1}`},
	{"object/empty both", `{}`, `{}`, `{}`},
	{"object/deep creation", `{}`, `{"a":{"b":{"c":{"d":1,"e":null}}}}`, `{"a":{"b":{"c":{"d":1}}}}`},
	{"object/deep change", `{"x":0,"a":{"b":{"c":1,"d":2},"e":3},"y":9}`, `{"a":{"b":{"d":5}}}`, `{"x":0,"a":{"b":{"c":1,"d":5},"e":3},"y":9}`},
	{"object/two levels at once", `{"a":{"b":1},"c":2}`, `{"c":3,"a":{"d":4}}`, `{"a":{"b":1,"d":4},"c":3}`},

	{"order/members of the target stay in place", `{"c":1,"a":2,"b":3}`, `{"a":9}`, `{"c":1,"a":9,"b":3}`},
	{"order/new members in the patch's order", `{"m":1}`, `{"z":1,"a":2,"m":3}`, `{"m":3,"z":1,"a":2}`},
	{"order/deleted and set again by a later value", `{"a":1,"b":2}`, `{"b":3,"a":null,"c":1}`, `{"b":3,"c":1}`},

	{"exact/huge exponent", `{"a":1e400}`, `{"b":-1E-999}`, `{"a":1e400,"b":-1E-999}`},
	{"exact/trailing zero", `{"a":1.0}`, `{"b":1.00}`, `{"a":1.0,"b":1.00}`},
	{"exact/thirty digits", `{"a":123456789012345678901234567890}`, `{"b":0.123456789012345678901234567890}`, `{"a":123456789012345678901234567890,"b":0.123456789012345678901234567890}`},
	{"exact/minus zero", `{"a":-0}`, `{"b":-0.0}`, `{"a":-0,"b":-0.0}`},
	{"exact/number texts differ", `{"a":1.0}`, `{"a":1}`, `{"a":1}`},
	{"exact/escapes stay", `{"a":"\u00e9\/"}`, `{"b":"\u00e9\/"}`, `{"a":"\u00e9\/","b":"\u00e9\/"}`},
	{"exact/HTML characters stay", `{"a":"<&>"}`, `{"b":"<&>"}`, `{"a":"<&>","b":"<&>"}`},
	{"exact/line separators stay", "{\"a\":\"\u2028\"}", `{}`, "{\"a\":\"\u2028\"}"},
	{"exact/NUL escape stays", `{"a":"\u0000"}`, `{}`, `{"a":"\u0000"}`},

	{"equal/string with other escapes keeps its text", `{"a":"\u00e9"}`, `{"a":"é"}`, `{"a":"\u00e9"}`},
	{"equal/array with other order of members keeps its text", `{"a":[{"b":1,"c":2}]}`, `{"a":[{"c":2,"b":1}]}`, `{"a":[{"b":1,"c":2}]}`},
	{"equal/root string", `"\u00e9"`, `"é"`, `"\u00e9"`},
	{"equal/root array", `[{"a":1,"b":2}]`, `[{"b":2,"a":1}]`, `[{"a":1,"b":2}]`},
	{"equal/object", `{"a":{"b":1,"c":2}}`, `{"a":{"c":2,"b":1}}`, `{"a":{"b":1,"c":2}}`},

	{"name/escaped in the patch", `{"a":1}`, `{"\u0061":2}`, `{"a":2}`},
	{"name/escaped in the target", `{"\u0061":1}`, `{"a":2}`, `{"\u0061":2}`},
	{"name/escaped deletion", `{"a":1,"b":2}`, `{"\u0061":null}`, `{"b":2}`},
	{"name/surrogate pair", `{"😀":1}`, `{"\ud83d\ude00":2}`, `{"😀":2}`},
	{"name/empty", `{"":1,"a":2}`, `{"":null,"b":{"":3}}`, `{"a":2,"b":{"":3}}`},
	{"name/case counts", `{"a":1}`, `{"A":2}`, `{"a":1,"A":2}`},
	{"name/composed and decomposed differ", "{\"\u00e9\":1}", "{\"e\u0301\":2}", "{\"\u00e9\":1,\"e\u0301\":2}"},
	{"name/NUL", `{"a":1}`, `{"a\u0000":2}`, `{"a":1,"a\u0000":2}`},
	{"name/longer than sixteen bytes", `{"aaaaaaaaaaaaaaaaaaaab":1,"aaaaaaaaaaaaaaaaaaaac":2}`, `{"aaaaaaaaaaaaaaaaaaaac":3}`, `{"aaaaaaaaaaaaaaaaaaaab":1,"aaaaaaaaaaaaaaaaaaaac":3}`},

	{"blanks/left out", " { \"a\" : 1 ,\n\t\"b\" : [ 1 , 2 ] } ", " { \"c\" : { \"d\" : null , \"e\" : \" x \" } }\r\n", `{"a":1,"b":[1,2],"c":{"e":" x "}}`},
	{"blanks/around a replaced member", `{ "a" : 1 , "b" : 2 }`, `{ "a" : [ 3 ] }`, `{"a":[3],"b":2}`},
	{"blanks/around a deleted member", `{ "a" : 1 , "b" : 2 , "c" : "x y" }`, `{ "b" : null }`, `{"a":1,"c":"x y"}`},
	{"blanks/scalar patch", `1`, ` "a b" `, `"a b"`},
}

// awkward are names that mean something in other libraries' path languages.
// Here they are names.
var awkward = []string{
	"", ".", "a.b", "*", "a*", "?", "#", "|", "@", "@this", "@pretty", ":", ":1", "0", "-1", "007", "100000000",
	`\`, `a\`, `\.`, `"`, "!", "{", "[", "(", "~", "/", "~1", "%", " ", "\n", "\x00", "é", "日本", "😀", "__proto__", "a|b", "a#b",
}

func TestPatch(t *testing.T) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			target, patch := []byte(r.target), []byte(r.patch)
			got, err := merge.Patch(target, patch)
			require.NoError(t, err)
			assert.Equal(t, r.want, string(got))
			assert.Equal(t, r.target, string(target), "the target was changed")
			assert.Equal(t, r.patch, string(patch), "the patch was changed")

			appended, err := merge.Append([]byte("before"), target, patch)
			require.NoError(t, err)
			assert.Equal(t, "before"+r.want, string(appended))

			again, err := merge.Patch(got, patch)
			require.NoError(t, err)
			assert.Equal(t, r.want, string(again), "applying the patch twice")
		})
	}
}

func TestPatchTreatsNamesAsNames(t *testing.T) {
	for _, name := range awkward {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			quoted, err := json.Marshal(name)
			require.NoError(t, err)
			member := func(value string) string { return string(quoted) + ":" + value }
			patch := func(target, patch string) string {
				got, err := merge.Patch([]byte(target), []byte(patch))
				require.NoError(t, err)
				return string(got)
			}
			others := `"first":1,"a":{"b":2},"last":[3]`
			assert.Equal(t, `{`+others+`,`+member("9")+`}`, patch(`{`+others+`}`, `{`+member("9")+`}`), "new")
			assert.Equal(t, `{"x":0,`+member("9")+`,`+others+`}`, patch(`{"x":0,`+member("8")+`,`+others+`}`, `{`+member("9")+`}`), "replaced")
			assert.Equal(t, `{"x":0,`+others+`}`, patch(`{"x":0,`+member("8")+`,`+others+`}`, `{`+member("null")+`}`), "deleted")
			assert.Equal(t, `{`+member(`{"in":1,`+member("7")+`}`)+`}`, patch(`{`+member(`{"in":1}`)+`}`, `{`+member(`{`+member("7")+`}`)+`}`), "nested")
			assert.Equal(t, `{`+member(`{`+member("7")+`}`)+`}`, patch(`{}`, `{`+member(`{`+member("7")+`,"gone":null}`)+`}`), "created")
		})
	}
}

func TestPatchRefuses(t *testing.T) {
	deep := strings.Repeat("[", merge.MaxDepth+1) + strings.Repeat("]", merge.MaxDepth+1)
	for _, c := range []struct {
		name, target, patch, input string
		offset                     int
	}{
		{"patch empty", `{}`, ``, "patch", 0},
		{"patch blank", `{}`, ` `, "patch", 1},
		{"patch cut off", `{}`, `{"a":`, "patch", 5},
		{"patch with trailing data", `{}`, `{"a":1} x`, "patch", 8},
		{"patch with two values", `{}`, `{}{}`, "patch", 2},
		{"patch with duplicate names", `{}`, `{"a":1,"a":2}`, "patch", 7},
		{"patch with duplicate names, escaped", `{}`, `{"a":1,"\u0061":null}`, "patch", 7},
		{"patch with duplicate names, deep", `{}`, `{"x":[{"a":1,"a":2}]}`, "patch", 13},
		{"patch with invalid UTF-8", `{}`, "{\"a\":\"\xff\"}", "patch", 6},
		{"patch with a lone surrogate", `{}`, `{"a":"\udc00"}`, "patch", 6},
		{"patch with a byte order mark", `{}`, "\uFEFF{}", "patch", 0},
		{"patch too deep", `{}`, deep, "patch", merge.MaxDepth},
		{"target cut off", `{"a":1`, `{}`, "target", 6},
		{"target blank", ` `, `{}`, "target", 1},
		{"target with duplicate names", `{"a":1,"a":2}`, `{"a":null}`, "target", 7},
		{"target too deep", deep, `{}`, "target", merge.MaxDepth},
		{"target invalid, though the patch replaces it", `{"a":1`, `1`, "target", 6},
		{"both invalid: the patch is told", `{`, `{`, "patch", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := merge.Patch([]byte(c.target), []byte(c.patch))
			assert.Nil(t, got)
			var syntax *merge.SyntaxError
			require.ErrorAs(t, err, &syntax)
			assert.ErrorContains(t, err, "merge: "+c.input+": not strict JSON at byte ")
			assert.Equal(t, c.offset, syntax.Offset)

			dst := []byte("kept and room for more")[:4]
			out, err := merge.Append(dst, []byte(c.target), []byte(c.patch))
			require.Error(t, err)
			assert.Equal(t, "kept", string(out))
		})
	}
}

func TestErrorHoldsNothingOfTheInput(t *testing.T) {
	_, err := merge.Patch(nil, []byte(`{"secret-name":"secret-value","secret-name":secret}`))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
	_, err = merge.Diff([]byte(`{}`), []byte(`{"secret-name":null}`))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}

// TestPatchAtDepth applies a patch as deep as it may be.
func TestPatchAtDepth(t *testing.T) {
	nest := func(inner string) []byte {
		n := merge.MaxDepth - 1
		return []byte(strings.Repeat(`{"a":`, n) + inner + strings.Repeat(`}`, n))
	}
	got, err := merge.Patch(nest(`{"b":1,"c":2}`), nest(`{"b":null,"d":3}`))
	require.NoError(t, err)
	assert.Equal(t, string(nest(`{"c":2,"d":3}`)), string(got))
	got, err = merge.Patch([]byte(`{}`), nest(`{"b":null,"d":3}`))
	require.NoError(t, err)
	assert.Equal(t, string(nest(`{"d":3}`)), string(got))
}

// TestPatchWide crosses the sizes at which look-ups change their method, with
// changes, deletions and new members mixed.
func TestPatchWide(t *testing.T) {
	for _, size := range []int{1, 15, 16, 17, 18, 40, 1000, 5000} {
		var target, patch, want strings.Builder
		var added strings.Builder
		for i := range size {
			fmt.Fprintf(&target, `,"m%d":%d`, i, i)
			switch i % 4 {
			case 0:
				fmt.Fprintf(&patch, `,"m%d":null`, i)
			case 1:
				fmt.Fprintf(&patch, `,"m%d":[%d]`, i, i)
				fmt.Fprintf(&want, `,"m%d":[%d]`, i, i)
			case 2:
				fmt.Fprintf(&patch, `,"n%d":%d`, i, i)
				fmt.Fprintf(&added, `,"n%d":%d`, i, i)
				fallthrough
			default:
				fmt.Fprintf(&want, `,"m%d":%d`, i, i)
			}
		}
		object := func(members string) []byte { return []byte("{" + strings.TrimPrefix(members, ",") + "}") }
		got, err := merge.Patch(object(target.String()), object(patch.String()))
		require.NoError(t, err)
		require.Equal(t, string(object(want.String()+added.String())), string(got), "%d members", size)

		nested := func(o []byte) []byte { return fmt.Appendf(nil, `{"o":%s,"p":%s}`, o, o) }
		got, err = merge.Patch(nested(object(target.String())), nested(object(patch.String())))
		require.NoError(t, err)
		require.Equal(t, string(nested(object(want.String()+added.String()))), string(got), "%d members, nested", size)
	}
}

// TestAppendIntoItsOwnInputsNeighbour appends after the inputs in one array,
// which is allowed: only the spare capacity must not overlap them.
func TestAppendBehindInputs(t *testing.T) {
	buf := []byte(`{"a":1}{"b":2}`)
	out, err := merge.Append(bytes.Clone(buf), buf[:7], buf[7:])
	require.NoError(t, err)
	assert.Equal(t, `{"a":1}{"b":2}{"a":1,"b":2}`, string(out))
	own := make([]byte, len(buf), 100)
	copy(own, buf)
	out, err = merge.Append(own, own[:7], own[7:])
	require.NoError(t, err)
	assert.Equal(t, `{"a":1}{"b":2}{"a":1,"b":2}`, string(out))
}

func TestResultDoesNotAliasInputs(t *testing.T) {
	target, patch := []byte(`{"a":1}`), []byte(`{"b":2}`)
	got, err := merge.Patch(target, patch)
	require.NoError(t, err)
	clear(target)
	clear(patch)
	assert.Equal(t, `{"a":1,"b":2}`, string(got))

	patch = []byte(`7`)
	got, err = merge.Patch(nil, patch)
	require.NoError(t, err)
	clear(patch)
	assert.Equal(t, `7`, string(got))
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"equal objects", `{"a":1,"b":{"c":2}}`, `{"b":{"c":2},"a":1}`, `{}`},
		{"both empty", `{}`, `{}`, `{}`},
		{"absent from", ``, `{"a":1}`, `{"a":1}`},
		{"new member", `{"a":1}`, `{"a":1,"b":2}`, `{"b":2}`},
		{"changed member", `{"a":1}`, `{"a":2}`, `{"a":2}`},
		{"removed member", `{"a":1,"b":2}`, `{"b":2}`, `{"a":null}`},
		{"removed null member", `{"a":null,"b":2}`, `{"b":2}`, `{"a":null}`},
		{"nested change", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":3}}`, `{"a":{"c":3}}`},
		{"nested removal", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1}}`, `{"a":{"c":null}}`},
		{"nested, nothing differs", `{"a":{"b":1},"c":1}`, `{"a":{"b":1},"c":2}`, `{"c":2}`},
		{"nested, nothing differs, last", `{"c":1,"a":{"b":1}}`, `{"c":2,"a":{"b":1}}`, `{"c":2}`},
		{"object becomes empty", `{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":null}}`},
		{"scalar becomes an empty object", `{"a":1}`, `{"a":{}}`, `{"a":{}}`},
		{"object becomes a scalar", `{"a":{"b":1}}`, `{"a":1}`, `{"a":1}`},
		{"array", `{"a":[1,2]}`, `{"a":[1]}`, `{"a":[1]}`},
		{"array with nulls", `{"a":[1]}`, `{"a":[null,{"b":null}]}`, `{"a":[null,{"b":null}]}`},
		{"number texts differ", `{"a":1}`, `{"a":1.0}`, `{"a":1.0}`},
		{"string escapes do not count", `{"a":"é"}`, `{"a":"\u00e9"}`, `{}`},
		{"name escapes do not count", `{"a":1}`, `{"\u0061":1}`, `{}`},
		{"null stays null", `{"a":null}`, `{"a":null,"b":1}`, `{"b":1}`},
		{"nested null stays null", `{"x":{"a":null}}`, `{"x":{"a":null,"b":1}}`, `{"x":{"b":1}}`},
		{"to a scalar", `{"a":1}`, `5`, `5`},
		{"to null", `{"a":1}`, `null`, `null`},
		{"scalar to the same scalar", `5`, `5`, `5`},
		{"scalar to object", `5`, `{"a":{}}`, `{"a":{}}`},
		{"blanks", ` { "a" : 1 } `, ` { "a" : [ 1 ] } `, `{"a":[1]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := merge.Diff([]byte(c.from), []byte(c.to))
			require.NoError(t, err)
			assert.Equal(t, c.want, string(got))
			back, err := merge.Patch([]byte(c.from), got)
			require.NoError(t, err)
			assert.True(t, merge.Equal(back, []byte(c.to)), "Patch(from, Diff(from, to)) is %s", back)
		})
	}
}

func TestDiffNotRepresentable(t *testing.T) {
	for _, c := range []struct{ name, from, to, place string }{
		{"new null", `{}`, `{"a":null}`, "byte 5"},
		{"value becomes null", `{"a":1}`, `{"a":null}`, "byte 5"},
		{"nested new null", `{"x":{}}`, `{"x":{"a":null}}`, "byte 10"},
		{"null in a new object", `{}`, `{"x":{"y":{"a":null}}}`, "byte 15"},
		{"null where from has a scalar", `{"x":1}`, `{"x":{"a":null}}`, "byte 10"},
		{"null from an absent document", ``, `{"a":null}`, "byte 5"},
		{"null behind an array", ``, `{"b":[null],"a":null}`, "byte 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := merge.Diff([]byte(c.from), []byte(c.to))
			require.ErrorIs(t, err, merge.ErrNotRepresentable)
			assert.ErrorContains(t, err, c.place)
			assert.Nil(t, got)
		})
	}
}

func TestDiffRefuses(t *testing.T) {
	for _, c := range []struct{ name, from, to, input string }{
		{"from", `{`, `{}`, "from"},
		{"to", `{}`, `{`, "to"},
		{"to empty", `{}`, ``, "to"},
	} {
		_, err := merge.Diff([]byte(c.from), []byte(c.to))
		var syntax *merge.SyntaxError
		require.ErrorAs(t, err, &syntax, c.name)
		assert.ErrorContains(t, err, "merge: "+c.input+": not strict JSON at byte ", c.name)
	}
}

func TestChanges(t *testing.T) {
	long := strings.Repeat("n", 1000)
	for _, c := range []struct {
		name, from, to   string
		changed, removed []string
	}{
		{"nothing", `{"a":1}`, `{"a":1}`, nil, nil},
		{"both absent", ``, ``, nil, nil},
		{"all new", ``, `{"a":1}`, []string{""}, nil},
		{"all gone", `{"a":1}`, ``, nil, []string{""}},
		{"scalar replaced", `1`, `2`, []string{""}, nil},
		{"scalar stays", `1`, `1`, nil, nil},
		{"members", `{"a":1,"b":2,"c":3}`, `{"c":4,"a":1,"d":5}`, []string{"/c", "/d"}, []string{"/b"}},
		{"nested", `{"a":{"b":1,"c":2,"x":0}}`, `{"a":{"b":9,"d":{"e":1},"x":0}}`, []string{"/a/b", "/a/d"}, []string{"/a/c"}},
		{"array counts whole", `{"a":[1,2]}`, `{"a":[1,3]}`, []string{"/a"}, nil},
		{"kind changed", `{"a":{"b":1}}`, `{"a":[1]}`, []string{"/a"}, nil},
		{"null is a value", `{"a":1}`, `{"a":null}`, []string{"/a"}, nil},
		{"pointer escapes", `{"a/b":1}`, `{"~":1}`, []string{"/~0"}, []string{"/a~1b"}},
		{"decoded names", `{}`, `{"\u0061":1}`, []string{"/a"}, nil},
		{"a long path to one member", `{"` + long + `":{"a":1}}`, `{"` + long + `":{"a":2,"b":3}}`, []string{"/" + long}, nil},
		{"a long path, removed", `{"x":1,"` + long + `":{"a":1}}`, `{"` + long + `":{},"y":1}`, []string{"/" + long, "/y"}, []string{"/x"}},
		{"a path that is not long", `{"` + long[:100] + `":{"a":1}}`, `{"` + long[:100] + `":{"b":2}}`, []string{"/" + long[:100] + "/b"}, []string{"/" + long[:100] + "/a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed, removed, err := merge.Changes([]byte(c.from), []byte(c.to))
			require.NoError(t, err)
			assert.Equal(t, c.changed, changed)
			assert.Equal(t, c.removed, removed)
		})
	}
	for _, c := range [][2]string{{`{`, `{}`}, {`{}`, `{`}, {`{`, ``}} {
		_, _, err := merge.Changes([]byte(c[0]), []byte(c[1]))
		assert.Error(t, err)
	}
}

// TestChangesStaysLinear: many members below a long path would make pointers that
// grow with the square of the documents.
func TestChangesStaysLinear(t *testing.T) {
	document := func(depth, members int) []byte {
		var b strings.Builder
		for range depth {
			fmt.Fprintf(&b, `{"%s":`, strings.Repeat("n", 10*members/depth))
		}
		b.WriteByte('{')
		for i := range members {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"%d":1`, i)
		}
		return []byte(b.String() + strings.Repeat("}", depth+1))
	}
	for _, depth := range []int{1, 5, 60} {
		from := document(depth, 5000)
		for _, to := range [][]byte{bytes.ReplaceAll(from, []byte(":1"), []byte(":2")), document(depth, 1)} {
			changed, removed, err := merge.Changes(from, to)
			require.NoError(t, err)
			size := 0
			for _, pointer := range append(changed, removed...) {
				size += len(pointer)
			}
			assert.Positive(t, size)
			assert.Less(t, size, 5*(len(from)+len(to)), "depth %d", depth)
		}
	}
}

func TestEqual(t *testing.T) {
	wide := func(order func(i int) int) string {
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, `,"m%d":{"v":%d}`, order(i), order(i))
		}
		return "{" + b.String()[1:] + "}"
	}
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"same text", `{"a":[1,"x",null,true]}`, `{"a":[1,"x",null,true]}`, true},
		{"member order", `{"a":1,"b":2}`, `{"b":2,"a":1}`, true},
		{"member order, wide", wide(func(i int) int { return i }), wide(func(i int) int { return 99 - i }), true},
		{"element order", `[1,2]`, `[2,1]`, false},
		{"blanks", `{"a":1}`, " { \"a\" : 1 } ", true},
		{"string escapes", `"é\n/"`, `"\u00e9\u000a\/"`, true},
		{"name escapes", `{"\u0061":1}`, `{"a":1}`, true},
		{"number text", `1`, `1.0`, false},
		{"number exponent", `100`, `1e2`, false},
		{"minus zero", `0`, `-0`, false},
		{"kinds", `"1"`, `1`, false},
		{"booleans", `true`, `false`, false},
		{"null and absent", `{"a":null}`, `{}`, false},
		{"prefix array", `[1]`, `[1,2]`, false},
		{"other name", `{"a":1}`, `{"b":1}`, false},
		{"deep difference", `{"a":{"b":{"c":1}}}`, `{"a":{"b":{"c":2}}}`, false},
		{"composed and decomposed", "\"\u00e9\"", "\"e\u0301\"", false},
		{"invalid", `{`, `{`, false},
		{"second invalid", `{}`, `{}}`, false},
		{"empty", ``, ``, false},
		{"duplicate names", `{"a":1,"a":1}`, `{"a":1,"a":1}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, merge.Equal([]byte(c.a), []byte(c.b)))
			assert.Equal(t, c.want, merge.Equal([]byte(c.b), []byte(c.a)))
		})
	}
}
