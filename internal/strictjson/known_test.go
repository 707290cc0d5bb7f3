package strictjson

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var knownNames = NewNames([]string{"id", "name", "", "a", "b", "größe", "exactly-21-bytes-long", "tags"})

// knownTests: quick says whether the fast way takes the text.
var knownTests = []struct {
	text  string
	quick bool
}{
	{`{"id":"1","name":"n","a":true,"b":false,"tags":null}`, true},
	{`{"b":1,"a":-0.5e+10,"name":"","id":"x"}`, true},
	{`{"":1}`, true},
	{`{"größe":"日本語","id":"\u00e9\n"}`, true},
	{`{"exactly-21-bytes-long":1}`, true},
	{`{"a":{"x":[1,{"y":null}],"z": 2},"b":[[],{}],"id":"i"}`, true},
	{`{"a":1}`, true},
	{`{}`, false},
	{`{ "a":1}`, false},
	{`{"a": 1}`, false},
	{`{"a":1 }`, false},
	{`{"a":1} `, false},
	{`{"a":1,"a":2}`, false},
	{`{"a":1,"x":2}`, false},
	{`{"\u0061":1}`, false},
	{`{"a":1`, false},
	{`{"a":`, false},
	{`{"a":t}`, false},
	{`{"a":tru`, false},
	{`{"a":01}`, false},
	{`{"a":"x`, false},
	{"{\"a\":\"\x01\"}", false},
	{"{\"a\":\"\xff\"}", false},
	{`{"a":{"x":1,"x":2}}`, false},
	{`{"a":1}}`, false},
	{`{"a":1,}`, false},
	{`[1]`, false},
	{`1`, false},
	{``, false},
}

func TestParseKnown(t *testing.T) {
	for _, tt := range knownTests {
		var d Doc
		assert.Equal(t, tt.quick, d.quick([]byte(tt.text), MaxDepth, knownNames), tt.text)
		sameAsParse(t, []byte(tt.text), MaxDepth)
	}
	// Every place at which a text can end.
	for _, tt := range knownTests {
		for i := range tt.text {
			sameAsParse(t, []byte(tt.text[:i]), MaxDepth)
		}
	}
	for depth := range 4 {
		sameAsParse(t, []byte(`{"a":[[1]]}`), depth)
	}
	sameAsParse(t, []byte(`{"a":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)+`}`), MaxDepth)
	sameAsParse(t, []byte(`{"a":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)+`}`), MaxDepth)
}

// sameAsParse: ParseKnown and a Learner leave what Parse leaves.
func sameAsParse(t *testing.T, text []byte, depth int) {
	t.Helper()
	var want Doc
	wantErr := want.Parse(text, depth)
	var learner Learner
	for name, parse := range map[string]func(*Doc) error{
		"known":   func(d *Doc) error { return d.ParseKnown(text, depth, knownNames) },
		"nothing": func(d *Doc) error { return d.ParseKnown(text, depth, nil) },
		"learned": func(d *Doc) error { _ = learner.Parse(d, text, depth); return learner.Parse(d, text, depth) },
	} {
		got := Doc{Nodes: slices.Repeat([]Node{{Start: 9, NameStart: 9, Hash: 9, Len: 9, Mark: 7, Known: 9, Escapes: 3}}, 20)}
		require.Equal(t, wantErr, parse(&got), "%s: %s", name, text)
		if wantErr == nil {
			var has uint64
			for c := uint32(1); got.Names != nil && c < got.Nodes[0].Next; c = got.Nodes[c].Next {
				known := got.Nodes[c].Known
				require.Equal(t, string(got.RawName(c)), names(got.Names)[known-1], "%s: %s", name, text)
				require.Equal(t, c, got.Named(known))
				has |= 1 << (known - 1)
				got.Nodes[c].Known = 0
			}
			if got.Names != nil {
				require.Equal(t, has, got.Has())
			}
			require.Equal(t, want.Nodes, got.Nodes, "%s: %s", name, text)
			require.Equal(t, want.Blanks, got.Blanks, "%s: %s", name, text)
			require.Equal(t, text, got.Src)
		}
	}
}

// names returns the names in n.
func names(n *Names) (list []string) {
	for _, k := range n.list {
		text := binary.LittleEndian.AppendUint64(nil, k.text[0])
		text = binary.LittleEndian.AppendUint64(text, k.text[1])
		text = binary.LittleEndian.AppendUint64(text, k.text[2])
		list = append(list, string(text[1:k.size-2]))
	}
	return list
}

func FuzzParseKnown(f *testing.F) {
	for _, tt := range knownTests {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameAsParse(t, text, MaxDepth) })
}

func TestNewNames(t *testing.T) {
	assert.Nil(t, NewNames(nil))
	assert.Nil(t, NewNames(make([]string, 65)))
	assert.Nil(t, NewNames([]string{strings.Repeat("x", 22)}))
	assert.Nil(t, NewNames([]string{`"`}))
	assert.Nil(t, NewNames([]string{"\n"}))
	assert.NotNil(t, NewNames([]string{"/", "~", "<", "é", ""}))
}

// TestLearner: it knows a kind of document after one, and stops trying documents that
// it cannot learn, for a while.
func TestLearner(t *testing.T) {
	quick := 0
	OnQuick = func([]byte) { quick++ }
	defer func(slow bool) { OnQuick, Slow = nil, slow }(Slow)
	Slow = false
	var l Learner
	var d Doc
	parse := func(n int, text string) (quickly int) {
		quick = 0
		for range n {
			require.NoError(t, l.Parse(&d, []byte(text), MaxDepth))
		}
		return quick
	}
	assert.Equal(t, 9, parse(10, `{"a":1,"b":2}`))
	assert.Equal(t, 10, parse(10, `{"b":2}`))
	assert.Equal(t, 9, parse(10, `{"c":2,"a":1}`))
	assert.Equal(t, 0, parse(maxMisses+1, `{"a": 1}`))
	assert.Equal(t, 0, parse(pause, `{"a":1}`))
	assert.Equal(t, 10, parse(10, `{"a":1}`))
	// More names than there is room for.
	for i := range 100 {
		parse(1, fmt.Sprintf(`{"name-%d":1}`, i))
	}
	assert.LessOrEqual(t, len(l.list), maxNames)
	parse(20, `{"a":1,"b":2,"c":3}`)
	assert.Equal(t, 10, parse(10, `{"a":1,"b":2,"c":3}`))
}
