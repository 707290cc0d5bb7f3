package typed_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/typed"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A reading has a Go integer wherever an Integer may stand, in an Opt and without.
type reading struct {
	N    int64             `json:"n"`
	O    typed.Opt[uint64] `json:"o,omitzero"`
	Text json.Number       `json:"text"`
	Any  any               `json:"any"`
	F    float64           `json:"f"`
	Free struct {
		List []int8            `json:"list"`
		Map  map[string]int    `json:"map"`
		Opt  typed.Opt[[2]int] `json:"opt,omitzero"`
	} `json:"free"`
}

func readings(t *testing.T) *resource.Collection {
	return open(t, things(integer("n"), integer("o"), number("text"), number("any"), number("f"), object("free")))
}

// TestDecodeReadsWhatIntegerAccepts: every spelling of an integer that a schema takes
// becomes the Go integer, and no other number loses its text.
func TestDecodeReadsWhatIntegerAccepts(t *testing.T) {
	c := readings(t)
	for spelling, want := range map[string]int64{
		"7": 7, "7.0": 7, "7.00e0": 7, "70e-1": 7, "0.7E1": 7, "-7.0": -7, "0.0": 0, "-0.0": 0, "0e99": 0, "0.0e-99999999999999999999": 0,
		"7e2": 700, "7.5e+3": 7500, "9223372036854775807.0": 1<<63 - 1, "-92233720368547758.080e2": -1 << 63, "1000000000000000000.0e-18": 1,
	} {
		res := create(t, c, `{"id":"`+spelling+`","n":`+spelling+`,"text":7.0,"any":70e-1,"f":7.0}`)
		got, err := typed.Decode[reading](&res.Resource)
		require.NoError(t, err, spelling)
		assert.Equal(t, reading{N: want, Text: "7.0", Any: json.Number("70e-1"), F: 7}, got, spelling)
	}
	res := create(t, c, `{"id":"1","o":18446744073709551615.0,"free":{"list":[1,2.0],"map":{"a b":3.0},"opt":[4.0,5e1]}}`)
	got, err := typed.Decode[reading](&res.Resource)
	require.NoError(t, err)
	assert.Equal(t, uint64(1<<64-1), got.O.Or(0))
	assert.Equal(t, []int8{1, 2}, got.Free.List)
	assert.Equal(t, map[string]int{"a b": 3}, got.Free.Map)
	assert.Equal(t, [2]int{4, 50}, got.Free.Opt.Or([2]int{}))
}

// TestDecodeErrorNamesField: whatever does not fit is named, wherever it is, without
// its value.
func TestDecodeErrorNamesField(t *testing.T) {
	c := readings(t)
	for document, want := range map[string]string{
		`"n":9223372036854775808`:           `"/n": the number`,
		`"n":1e999999999`:                   `"/n": the number`,
		`"o":-1`:                            `"/o": the number`,
		`"free":{"list":[1,2.0,300]}`:       `"/free/list/2": the number`,
		`"free":{"list":{}}`:                `"/free/list": the object`,
		`"free":{"map":{"a/b\n":1.5}}`:      `"/free/map/a~1b\n": the number`,
		`"free":{"opt":[1,2.5]}`:            `"/free/opt/1": the number`,
		`"free":{"opt":"` + marker + `"}`:   `"/free/opt": the string`,
		`"n":1.0,"o":2.0,"free":{"opt":{}}`: `"/free/opt": the object`,
	} {
		create(t, c, `{"id":"1",`+document+`}`)
		got, err := c.Get(ctx, tenant, "1")
		require.NoError(t, err)
		_, err = typed.Decode[reading](got)
		assert.EqualError(t, err, "typed: cannot decode "+want+" does not fit its Go type", document)
		_, err = c.Delete(ctx, tenant, "1", nil)
		require.NoError(t, err)
	}
	res := create(t, c, `{"id":"2","n":1}`)
	_, err := typed.Decode[struct{ ID time.Time }](&res.Resource)
	assert.EqualError(t, err, `typed: cannot decode "/id": the string does not fit its Go type`)
	_, err = typed.Decode[[]string](&res.Resource)
	assert.EqualError(t, err, `typed: cannot decode "": the object does not fit its Go type`)
}

// tallied counts the bytes that are decoded.
type tallied struct {
	Free map[string]map[string]int `json:"free"`
}

var tally int

func (t *tallied) UnmarshalJSON(text []byte) error {
	tally += len(text)
	type plain tallied
	return json.Unmarshal(text, (*plain)(t))
}

// TestDecodeErrorIsLinear: a long name around many members costs no more than its
// length and their number, and the error then names what holds the value.
func TestDecodeErrorIsLinear(t *testing.T) {
	c := readings(t)
	for _, n := range []int{10, 1000, 10_000} {
		name := strings.Repeat("n", n)
		document := `{"id":"` + fmt.Sprint(n) + `","free":{"` + name + `":{"0":0`
		for i := range n {
			document += fmt.Sprintf(`,"m%d":1`, i)
		}
		document += `,"last":1.5}}}`
		res := create(t, c, document)
		tally = 0
		_, err := typed.Decode[tallied](&res.Resource)
		require.Error(t, err)
		assert.Equal(t, n == 10, strings.Contains(err.Error(), "/last"), "%.300v", err)
		assert.Less(t, len(err.Error()), 300)
		assert.LessOrEqual(t, tally, 102*len(document), n)
	}
}
