package main

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/merge"
)

// A difference is a kind of input that evanphx/json-patch v5.9.11 treats
// differently. Either it comes to another result, or only one of the two takes
// the input at all.
type difference struct {
	name string
	// holds reports whether inputs that both take are of this kind; nil for
	// kinds that only one takes.
	holds         func(target, patch any) bool
	target, patch string // the smallest example
	ours, theirs  string // what comes out; "" is an error
}

var differences = []difference{
	{
		name:   "null in an object of an array is stripped",
		holds:  func(_, patch any) bool { return nullInArray(patch, false) },
		target: `{}`, patch: `{"a":[{"b":null}]}`,
		ours: `{"a":[{"b":null}]}`, theirs: `{"a":[{}]}`,
	},
	{
		name:   "null in an object of an array is stripped from a patch that is an array",
		holds:  func(_, patch any) bool { return nullInArray(patch, false) },
		target: `{}`, patch: `[{"b":null}]`,
		ours: `[{"b":null}]`, theirs: `[{}]`,
	},
	{
		name:   "a target that is null is refused",
		holds:  func(target, _ any) bool { return target == nil },
		target: `null`, patch: `{"a":1}`,
		ours: `{"a":1}`, theirs: ``,
	},
	{
		name:   "an absent target is refused",
		target: ``, patch: `{"a":1}`,
		ours: `{"a":1}`, theirs: ``,
	},
	{
		name:   "duplicate names in the target are taken, and a deletion leaves one as null",
		target: `{"a":1,"a":2}`, patch: `{"a":null}`,
		ours: ``, theirs: `{"a":null}`,
	},
	{
		name:   "duplicate names in the target stay",
		target: `{"a":1,"a":2}`, patch: `{"b":3}`,
		ours: ``, theirs: `{"a":2,"a":2,"b":3}`,
	},
	{
		name:   "duplicate names in the patch are taken, the last one counts",
		target: `{}`, patch: `{"a":1,"a":2}`,
		ours: ``, theirs: `{"a":2}`,
	},
	{
		name:   "lone surrogates in strings are taken",
		target: `{"a":"\ud800"}`, patch: `{"b":1}`,
		ours: ``, theirs: `{"a":"\ud800","b":1}`,
	},
	{
		name:   "lone surrogates in names all become one name",
		target: `{"\ud800":1}`, patch: `{"\ud801":2}`,
		ours: ``, theirs: `{"` + "\uFFFD" + `":2}`,
	},
	{
		name:   "invalid UTF-8 is taken, and stays",
		target: `{"a":"` + "\xff" + `"}`, patch: `{}`,
		ours: ``, theirs: `{"a":"` + "\xff" + `"}`,
	},
	{
		name:   "more than 64 levels are taken",
		target: `{}`, patch: `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
		ours: ``, theirs: `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	},
	{
		name:   "equal value, other text: markup characters and U+2028 are escaped",
		target: `{"a":"<"}`, patch: `{"b":"&` + "\u2028" + `"}`,
		ours: `{"a":"<","b":"&` + "\u2028" + `"}`, theirs: `{"a":"\u003c","b":"\u0026\u2028"}`,
	},
	{
		name:   "equal value, other text: escapes in names are decoded",
		target: `{"\u0061":1}`, patch: `{}`,
		ours: `{"\u0061":1}`, theirs: `{"a":1}`,
	},
	{
		name:   "equal value, other text: a patch that is a scalar keeps its blanks",
		target: `{}`, patch: ` 1 `,
		ours: `1`, theirs: ` 1 `,
	},
}

// nullInArray reports whether an object inside an array of v has a null member.
func nullInArray(v any, inside bool) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return nullInArray(e, true) })
	case map[string]any:
		for _, member := range v {
			if inside && member == nil || nullInArray(member, inside) {
				return true
			}
		}
	}
	return false
}

// FuzzAgainstEvanphx holds merge.Patch against evanphx/json-patch: what both
// take comes to the same value, unless a difference that has a name explains it.
func FuzzAgainstEvanphx(f *testing.F) {
	for _, d := range differences {
		f.Add([]byte(d.target), []byte(d.patch))
	}
	for _, text := range []string{`{"a":"b","c":{"d":1.0}}`, `{"a":null,"c":{"e":[1,{"f":true}]}}`, `[1,2]`, `{}`, `"x"`, `null`, `{"é":"<&>"}`} {
		f.Add([]byte(text), []byte(`{"a":{"b":null,"c":"\u00e9"},"c":1e400}`))
		f.Add([]byte(`{"a":[{"b":1}],"c":{"d":{"e":null}},"z":2}`), []byte(text))
	}
	for _, s := range []script{ascii, cjk, escapes} {
		in := customers(s, 1)[0]
		f.Add(in.target, in.patch)
	}
	f.Fuzz(func(t *testing.T, target, patch []byte) { againstEvanphx(t, target, patch) })
}

// TestAgainstEvanphx does the same with documents made of few names and few
// values, so that they meet in every way.
func TestAgainstEvanphx(t *testing.T) {
	r := seed(5911)
	for range 50_000 {
		againstEvanphx(t, []byte(anyValue(r, 4)), []byte(anyValue(r, 4)))
		if t.Failed() {
			return
		}
	}
}

func anyValue(r *rand.Rand, depth int) string {
	kind := r.IntN(8)
	switch {
	case depth > 0 && kind < 4:
		o := object{}
		for _, k := range r.Perm(4)[:r.IntN(5)] {
			o.add([]string{"a", `\u0062`, "<&>", ""}[k], anyValue(r, depth-1))
		}
		return o.String()
	case depth > 0 && kind == 4:
		list := make([]string, r.IntN(3))
		for i := range list {
			list[i] = anyValue(r, depth-1)
		}
		return "[ " + strings.Join(list, " ,") + "]"
	}
	return []string{"null", "null", "null", "true", "1.0", "1e400", `"<\u00e9\/>"`, `""`}[r.IntN(8)]
}

func againstEvanphx(t *testing.T, target, patch []byte) {
	t.Helper()
	if len(target) == 0 {
		return // an absent target: see differences
	}
	ours, err := merge.Patch(target, patch)
	if err != nil {
		return
	}
	theirs, err := jsonpatch.MergePatch(target, patch)
	if err != nil {
		theirs = []byte(`"refused"`)
	}
	if reflect.DeepEqual(decode(t, ours), decode(t, theirs)) {
		return
	}
	from, change := decode(t, target), decode(t, patch)
	if !slices.ContainsFunc(differences, func(d difference) bool { return d.holds != nil && d.holds(from, change) }) {
		t.Errorf("target %q, patch %q\nours   %q\ntheirs %q", target, patch, ours, theirs)
	}
}

// TestDifferences holds that the differences are there.
func TestDifferences(t *testing.T) {
	for _, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			ours, err := merge.Patch([]byte(d.target), []byte(d.patch))
			assert.Equal(t, d.ours == "", err != nil, "%v", err)
			assert.Equal(t, d.ours, string(ours))
			theirs, err := jsonpatch.MergePatch([]byte(d.target), []byte(d.patch))
			assert.Equal(t, d.theirs == "", err != nil, "%v", err)
			assert.Equal(t, d.theirs, string(theirs))
			if d.holds != nil {
				require.NotEmpty(t, d.ours)
				assert.True(t, d.holds(decode(t, []byte(d.target)), decode(t, []byte(d.patch))))
			}
		})
	}
}
