package typed_test

import (
	"encoding/json"
	"testing"

	"example.com/resourcekit/resource/typed"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type (
	asText    struct{ text string }
	asJSON    struct{ text string }
	byPointer struct{ text string }
	hidden    struct{ Name string }
	embeds    struct {
		hidden
		*asEmbedded
	}
	asEmbedded struct {
		Other  string
		unseen string
	}
	list struct {
		Next typed.Opt[*list] `json:"next,omitzero"`
		Name string           `json:"name"`
	}
	around struct {
		Name string  `json:"-"`
		Self *around `json:"self,omitzero"`
	}
)

func (a asText) MarshalText() ([]byte, error)     { return []byte(a.text), nil }
func (a asJSON) MarshalJSON() ([]byte, error)     { return []byte(a.text), nil }
func (a *byPointer) MarshalJSON() ([]byte, error) { return []byte(a.text), nil }

// IsZero leaves a value out that refers to itself.
func (a *around) IsZero() bool { return a == nil || a.Self == a }

// TestEncodeJudgesGoValues: bytes that are not UTF-8 are an error wherever they are,
// whichever way encoding/json spells what it replaces them by, and even beside a
// U+FFFD that the program means.
func TestEncodeJudgesGoValues(t *testing.T) {
	const bad = "Andr\xe9"
	loop := &around{Name: bad}
	loop.Self = loop
	for name, document := range map[string]any{
		"string":             bad,
		"external id":        typed.Customer{CustomerID: bad},
		"Opt":                typed.Customer{FirstName: typed.Set(bad)},
		"pointer":            &typed.Customer{CustomerID: bad},
		"[]string":           map[string][]string{"tags": {"a", bad}},
		"[1]string":          [1]string{bad},
		"map key":            map[string]int{bad: 1},
		"map value":          map[string]any{"a": map[string]any{"b": bad}},
		"key by MarshalText": map[asText]int{{bad}: 1},
		"MarshalText":        asText{bad},
		"MarshalJSON":        asJSON{`"` + bad + `"`},
		"by pointer":         &struct{ P byPointer }{byPointer{`"` + bad + `"`}},
		"json.RawMessage":    map[string]any{"a": json.RawMessage(`"` + bad + `"`)},
		"embedded":           embeds{hidden: hidden{bad}},
		"embedded pointer":   embeds{asEmbedded: &asEmbedded{Other: bad}},
		"tag string": struct {
			A string `json:"a,string"`
		}{bad},
		"in an Opt in an Opt": list{Next: typed.Set(&list{Next: typed.Set(&list{Name: bad})})},
		"behind an escape":    `\` + bad,
	} {
		for _, document := range []any{document, []any{"\ufffd", document}} {
			text, err := typed.Encode(document)
			assert.EqualError(t, err, "typed: cannot encode a string that is not valid UTF-8", name)
			assert.Nil(t, text, name)
		}
	}
	for name, tt := range map[string]struct {
		document any
		want     string
	}{
		"U+FFFD":           {map[string]any{"\ufffd": []string{"\ufffd"}}, `{"�":["�"]}`},
		"in an Opt":        {typed.Customer{CustomerID: "\ufffd", Email: typed.Set("\ufffd")}, `{"customerId":"�","email":"�"}`},
		"escaped":          {json.RawMessage(`"\ufffd\uFFFD"`), `"\ufffd\uFFFD"`},
		"text of the kind": {`\ufffd`, `"\\ufffd"`},
		"not encoded": {struct {
			A string `json:"-"`
			B string
			c string
		}{bad, "\ufffd", bad}, `{"B":"�"}`},
		"not exported": {embeds{hidden: hidden{"\ufffd"}, asEmbedded: &asEmbedded{unseen: bad}}, `{"Name":"�","Other":""}`},
		"bytes":        {map[string]any{"a": []byte(bad), "b": "\ufffd"}, `{"a":"QW5kcuk=","b":"�"}`},
		"nil":          {[]any{nil, (*asText)(nil), map[string]int(nil), "\ufffd"}, `[null,null,null,"�"]`},
		"refers to itself": {struct {
			A *around `json:"a,omitzero"`
			B string
		}{loop, "\ufffd"}, `{"B":"�"}`},
	} {
		text, err := typed.Encode(tt.document)
		require.NoError(t, err, name)
		assert.Equal(t, tt.want, string(text), name)
	}
}

// TestEncodeNested: what is inside an Opt is encoded once for each Opt around it, and
// not twice.
func TestEncodeNested(t *testing.T) {
	count := 0
	var deep any = counted{&count}
	for range 20 {
		deep = struct{ V typed.Opt[any] }{typed.Set(deep)}
	}
	_, err := typed.Encode(deep)
	require.NoError(t, err)
	assert.LessOrEqual(t, count, 2)
}

type counted struct{ calls *int }

func (c counted) MarshalJSON() ([]byte, error) {
	*c.calls++
	return []byte(`"` + "\ufffd" + `"`), nil
}
