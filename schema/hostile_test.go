package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHostileDefinitions: what a stranger may define is bounded in memory, and names are
// only names.
func TestHostileDefinitions(t *testing.T) {
	patterns := make([]Field, 9999)
	for i := range patterns {
		patterns[i] = Field{Name: fmt.Sprint(i), Type: String, Pattern: fmt.Sprintf(`(a|b|%d){15}$`, i)}
	}
	bytes := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := Compile(definition(patterns...))
			require.True(b, (s == nil) == (err != nil))
		}
	}).AllocedBytesPerOp()
	assert.Less(t, bytes, int64(1<<28))
	t.Logf("%d MiB", bytes>>20)

	names := []string{"__proto__", "constructor", "toString", "a", "A", "ａ", "", "values", "items", "/", "~", "~1", "\u0000", "\"", "<script>", "\u202e", strings.Repeat("n", 1<<16)}
	var declared []Field
	for _, name := range names {
		if name != "" {
			declared = append(declared, Field{Name: name, Type: Object, MaxProperties: limit(20), Values: &Field{Type: Integer, Minimum: 0}})
		}
	}
	s := define(t, declared...)
	for _, f := range declared {
		members := `{`
		for i, name := range names {
			members += quotedJSON(name) + fmt.Sprintf(":%d,", i)
		}
		members = strings.TrimSuffix(members, ",") + `}`
		stored := `{"id":"1",` + quotedJSON(f.Name) + `:` + members + `}`
		require.NoError(t, s.Validate([]byte(stored)))
		for _, name := range names {
			doc, err := write(s, stored, `{`+quotedJSON(f.Name)+`:{`+quotedJSON(name)+`:null}}`, nil)
			require.NoError(t, err)
			assert.Less(t, len(doc.Stored), len(stored))
			_, err = write(s, stored, `{`+quotedJSON(f.Name)+`:{`+quotedJSON(name)+`:-1}}`, nil)
			require.Error(t, err)
			assert.Less(t, len(err.Error()), 1<<17)
		}
	}
}

func quotedJSON(s string) string {
	raw, _ := rawValue(s)
	return string(raw)
}

// TestHostileValues: documents that are expensive for some validators.
func TestHostileValues(t *testing.T) {
	s := checked(t)
	for name, member := range map[string]string{
		"exponent":          `"total":1e999999999`,
		"negative exponent": `"total":1e-999999999`,
		"many digits":       `"total":0.` + strings.Repeat("1", 1<<20),
		"many zeros":        `"total":1` + strings.Repeat("0", 1<<20),
		"long exponent":     `"total":1e` + strings.Repeat("9", 1<<20),
		"pattern":           `"code":"AB-` + strings.Repeat("1", 1<<20) + `x"`,
		"pattern, letters":  `"note":"` + strings.Repeat("é", 1<<20) + `"`,
		"length":            `"name":"` + strings.Repeat("é", 1<<20) + `"`,
		"format":            `"mail":"` + strings.Repeat("a.", 1<<20) + `@"`,
		"elements":          `"tags":` + elements(1<<17),
		"same elements":     `"tags":["a"` + strings.Repeat(`,"a"`, 1<<17) + `]`,
		"members":           `"labels":{` + membersWith(1<<17) + `}`,
	} {
		err := s.Validate([]byte(`{"id":"1","live":true,"one":1,` + member + `}`))
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid, name)
		assert.Less(t, len(err.Error()), maxErrorText+1000, name)
	}
}

func membersWith(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"k%d":"2024-02-29"`, i)
	}
	return strings.Join(list, ",")
}
