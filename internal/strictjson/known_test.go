package strictjson

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var knownNames = NewNames([]string{"id", "name", "", "a", "b", "größe", "exactly-21-bytes-long", "tags", "o"},
	slices.Concat(make([]*Names, 8), []*Names{NewNames([]string{"x", "y", "list"}, []*Names{2: NewNames([]string{"z"}, nil)})}))

var manyNames = func() *Names {
	list := make([]string, maxNames)
	for i := range list {
		list[i] = fmt.Sprintf("n%02d", i)
	}
	return NewNames(list, nil)
}()

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
	{`{}`, true},
	{`{"o":{"x":{},"y":[],"list":[{"z":[1]},{},{"z":2},[{"z":3}],null,"\n"]},"id":"1"}`, true},
	{`{"o":[{"x":1},{"y":{"free":1}}],"id":"1"}`, true},
	{`{"o":{},"tags":[]}`, true},
	{`{"o":[]}`, true},
	{`{"o":{"x":[ 1 ]}}`, true},
	{`{"o":{"free":1}}`, false},
	{`{"o":{"x":1,"x":2}}`, false},
	{`{"o":{"x": 1}}`, false},
	{`{"o":{ }}`, false},
	{`{"o":[ ]}`, false},
	{`{"o":[1 ]}`, false},
	{`{"o":[1,]}`, false},
	{`{"o":{"x":1,}}`, false},
	{`{"o":{"x":1}`, false},
	{`{"o":{"x":1}]`, false},
	{`{"o":[{"x":1}}`, false},
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
	var d Doc
	assert.True(t, d.quick([]byte(`{"n15":1,"n00":2}`), MaxDepth, manyNames))
	assert.False(t, d.quick([]byte(`{"n00":1,"n17":{}}`+strings.Repeat(" ", nameText)), MaxDepth, manyNames), "it looks far for no name")
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
			if got.Names != nil {
				has = got.Has()
				got.Number()
				require.Equal(t, has, got.Has())
				has = 0
			}
			for c := uint32(1); got.Names != nil && c < got.Nodes[0].Next; c = got.Nodes[c].Next {
				require.Equal(t, c, got.Named(got.Nodes[c].Known))
				has |= 1 << (got.Nodes[c].Known - 1)
			}
			if got.Names != nil {
				require.Equal(t, has, got.Has())
				hasNames(t, &got, 0, got.Names)
			}
			require.Equal(t, want.Nodes, got.Nodes, "%s: %s", name, text)
			require.Equal(t, want.Blanks, got.Blanks, "%s: %s", name, text)
			require.Equal(t, text, got.Src)
		}
	}
}

// hasNames: the members of value i, and of objects in it, have these names, or, if they
// are nil, are not known. It takes their numbers out.
func hasNames(t *testing.T, d *Doc, i uint32, names *Names) {
	for c := i + 1; c < d.Nodes[i].Next; c = d.Nodes[c].Next {
		inner := names
		switch known := &d.Nodes[c].Known; {
		case d.Nodes[i].Kind == Array && d.Nodes[c].Kind == Array:
			inner = nil
		case d.Nodes[i].Kind == Array || names == nil:
			require.Zero(t, *known)
		default:
			require.Equal(t, d.Nodes[c].Hash, names.list[*known-1].hash)
			inner, *known = names.list[*known-1].inner, 0
		}
		hasNames(t, d, c, inner)
	}
}

func FuzzParseKnown(f *testing.F) {
	for _, tt := range knownTests {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameAsParse(t, text, MaxDepth) })
}

func TestNewNames(t *testing.T) {
	assert.Nil(t, NewNames(nil, nil))
	assert.Nil(t, NewNames(make([]string, 65), nil))
	assert.Nil(t, NewNames([]string{strings.Repeat("x", 22)}, nil))
	assert.Nil(t, NewNames([]string{`"`}, nil))
	assert.Nil(t, NewNames([]string{"\n"}, nil))
	assert.NotNil(t, NewNames([]string{"/", "~", "<", "é", ""}, nil))
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
