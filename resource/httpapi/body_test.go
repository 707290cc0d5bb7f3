package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkEnvelope compares dataOf with a parse of the whole body: what it returns is the
// member data, and its errors, or else those of a parse of data, are the same ones.
func checkEnvelope(t testing.TB, body []byte) (data []byte, err error) {
	t.Helper()
	read := func(text []byte, depth int) (*strictjson.Doc, error) {
		d := new(strictjson.Doc)
		return d, d.Parse(text, depth)
	}
	data, at, err := dataOf(body)
	whole, want := read(body, strictjson.MaxDepth+1)
	if want == nil {
		c, ok := whole.Find(0, strictjson.HashName("data"), "data")
		if !ok {
			require.Equal(t, 400, err.(*Problem).Status, "%.300q", body)
			return nil, err
		}
		require.NoError(t, err, "%.300q", body)
		require.Equal(t, string(whole.Text(c)), string(data), "%.300q", body)
		require.EqualValues(t, whole.Nodes[c].Start, at, "%.300q", body)
		_, err = read(data, strictjson.MaxDepth)
		require.NoError(t, err, "%.300q", body)
		return data, nil
	}
	if err == nil {
		require.Equal(t, string(body[at:at+len(data)]), string(data), "%.300q", body)
		around := string(body[:at]) + "0" + string(body[at+len(data):])
		_, err = read([]byte(around), strictjson.MaxDepth+1)
		require.NoError(t, err, "%.300q", body)
		_, err = read(data, strictjson.MaxDepth)
		require.Error(t, err, "%.300q", body)
		err = inBody(err, at)
	}
	got, wanted := new(schema.SyntaxError), new(schema.SyntaxError)
	require.ErrorAs(t, err, &got, "%.300q", body)
	require.ErrorAs(t, want, &wanted)
	if strings.Contains(string(wanted.Pointer), "…") { // where it is cut may differ
		got.Pointer = wanted.Pointer
	}
	wanted.Reason = strings.Replace(wanted.Reason, "deeper than 65", "deeper than 64", 1) // within data
	got.Reason = strings.Replace(got.Reason, "deeper than 65", "deeper than 64", 1)
	require.Equal(t, wanted, got, "%.300q", body)
	return nil, err
}

// envelopes are bodies, and what their data is, or why there is none.
var envelopes = []struct{ name, body, want, err string }{
	{"alone", `{"data":{"a":1}}`, `{"a":1}`, ""},
	{"empty", `{"data":{}}`, `{}`, ""},
	{"blanks everywhere", " \t\r\n{ \"data\"\t:\r\n{ \"a\" : [ 1 , { } ] }\n} \n", `{ "a" : [ 1 , { } ] }`, ""},
	{"in front of others", `{"data":{"a":1},"x":{"data":2},"y":[{"data":3}]}`, `{"a":1}`, ""},
	{"after others", `{"x":{"data":2},"y":[{"data":3}],"z":"data","data":{"a":1}}`, `{"a":1}`, ""},
	{"between others, blanks", `{ "x" : 1 , "data" : {"a":1} , "y" : null }`, `{"a":1}`, ""},
	{"names that are nearly it", `{"Data":1,"data ":2," data":3,"dat":4,"dataa":5,"da\u0000ta":6,"\"data\"":7,"data":{}}`, `{}`, ""},
	{"only names that are nearly it", `{"Data":{},"data ":{},"dat":{},"dataa":{}}`, "", `no member "data"`},
	{"escaped name", `{"\u0064\u0061\u0074\u0061":{"a":1}}`, `{"a":1}`, ""},
	{"partly escaped name", `{"x":0,"d\u0061ta":{"a":1}}`, `{"a":1}`, ""},
	{"name with a bad escape", `{"d\x61ta":{"a":1}}`, "", "escape"},
	{"name with a lone surrogate", `{"data\ud83d":{},"data":{}}`, "", "surrogate"},
	{"twice", `{"data":{"a":1},"data":{"a":2}}`, "", "duplicate"},
	{"twice, once escaped", `{"data":{"a":1},"dat\u0061":{"a":2}}`, "", "duplicate"},
	{"twice, the first wrong", `{"data":{"a":01},"data":{"a":2}}`, "", ""},
	{"twice, the second wrong", `{"data":{"a":1},"data":{"a":02}}`, "", "duplicate"},
	{"others twice", `{"x":1,"data":{"a":1},"x":2}`, "", "duplicate"},
	{"others twice, data wrong", `{"data":{"a":01},"x":1,"x":2}`, "", ""},
	{"twice inside data", `{"data":{"a":1,"a":2}}`, "", "duplicate"},
	{"null", `{"data":null}`, `null`, ""},
	{"true", `{"data": true }`, `true`, ""},
	{"false", `{"data":false}`, `false`, ""},
	{"number", `{"data":-1.5e+3}`, `-1.5e+3`, ""},
	{"string", `{"data":"\"}{\\"}`, `"\"}{\\"`, ""},
	{"array", `{"data":[1,{"a":2}]}`, `[1,{"a":2}]`, ""},
	{"string with brackets inside", `{"data":{"a":"}]{[","b":"\\\"}"},"x":"{"}`, `{"a":"}]{[","b":"\\\"}"}`, ""},
	{"string that ends in a backslash", `{"data":{"a":"\\"}}`, `{"a":"\\"}`, ""},
	{"string that does not end", `{"data":{"a":"\"}}`, "", "inside a string"},
	{"name with quotes and brackets", `{"\"data\":{":1,"data":{"{\"":"}"}}`, `{"{\"":"}"}`, ""},
	{"array closed by a brace", `{"data":{"a":[}}`, "", ""},
	{"object closed by a bracket", `{"data":{"a":{]}}`, "", ""},
	{"brackets that add up", `{"data":{"a":[}]}`, "", ""},
	{"brackets that add up, others", `{"data":{"a":[}},"x":1}`, "", ""},
	{"a bracket too many", `{"data":{"a":1}}}`, "", ""},
	{"a bracket too many inside", `{"data":{"a":1]}}`, "", ""},
	{"no comma after data", `{"data":{"a":1}"x":1}`, "", ""},
	{"two values", `{"data":{"a":1}{"b":2}}`, "", ""},
	{"a word after data", `{"data":{}null}`, "", ""},
	{"a word before data", `{"data":x{}}`, "", ""},
	{"a number with more", `{"data":007}`, "", ""},
	{"a word with more", `{"data":nullx}`, "", ""},
	{"a string with more", `{"data":"a"b}`, "", ""},
	{"two colons", `{"data"::{}}`, "", ""},
	{"no colon", `{"data"{}}`, "", ""},
	{"no value", `{"data":}`, "", ""},
	{"no value, others", `{"data":,"x":1}`, "", ""},
	{"comma at the end", `{"data":{},}`, "", ""},
	{"comma at the beginning", `{,"data":{}}`, "", ""},
	{"two commas", `{"x":1,,"data":{}}`, "", ""},
	{"name without quotes", `{data:{}}`, "", ""},
	{"name in other quotes", `{'data':{}}`, "", ""},
	{"number for a name", `{1:2,"data":{}}`, "", ""},
	{"object for a name", `{{}:2,"data":{}}`, "", ""},
	{"empty name", `{"":1,"data":{}}`, `{}`, ""},
	{"others wrong, before", `{"x":01,"data":{}}`, "", ""},
	{"others wrong, after", `{"data":{},"x":01}`, "", ""},
	{"data wrong, and others after", `{"data":{"a":tru},"x":01}`, "", ""},
	{"control character in a name", "{\"da\nta\":1,\"data\":{}}", "", "control character"},
	{"control character between", "{\"data\":\x0b{}}", "", ""},
	{"NUL at the end", "{\"data\":{}}\x00", "", ""},
	{"two texts", `{"data":{}}{"data":{}}`, "", ""},
	{"byte order mark", "\xef\xbb\xbf{\"data\":{}}", "", "byte order mark"},
	{"byte order mark inside", "{\"data\":\xef\xbb\xbf{}}", "", ""},
	{"not UTF-8 outside", "{\"x\":\"\xff\",\"data\":{}}", "", "UTF-8"},
	{"not UTF-8 in a name", "{\"\xff\":1,\"data\":{}}", "", "UTF-8"},
	{"not UTF-8 inside", "{\"data\":{\"a\":\"\xc3\x28\"}}", "", "UTF-8"},
	{"not UTF-8 at the end", "{\"data\":{}}\xff", "", ""},
	{"no object", `[{"data":{}}]`, "", "found array"},
	{"string", `"{\"data\":{}}"`, "", "found string"},
	{"nothing", ``, "", "unexpected end"},
	{"empty object", `{}`, "", `no member "data"`},
	{"64 levels inside", nested(`{"data":`, 64, `}`), nested("", 64, ""), ""},
	{"65 levels inside", nested(`{"data":`, 65, `}`), "", "deeper than 64 levels"},
	{"65 levels inside, others", nested(`{"x":0,"data":`, 65, `}`), "", "deeper than 64 levels"},
	{"64 levels beside", nested(`{"data":{},"x":`, 64, `}`), `{}`, ""},
	{"65 levels beside", nested(`{"data":{},"x":`, 65, `}`), "", "deeper than"},
}

// nested returns so many objects inside each other, with something around them.
func nested(before string, levels int, after string) string {
	return before + strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1) + after
}

// TestEnvelope: the member data of a body is found without reading it, and every error
// is the one that reading the whole body gives; also when the body is cut at any byte.
func TestEnvelope(t *testing.T) {
	for _, tt := range envelopes {
		t.Run(tt.name, func(t *testing.T) {
			data, err := checkEnvelope(t, []byte(tt.body))
			if assert.Equal(t, tt.want, string(data)); tt.want == "" {
				require.Error(t, err)
				assert.Contains(t, err.Error(), tt.err)
			}
			for cut := range len(tt.body) {
				_, _ = checkEnvelope(t, []byte(tt.body[:cut]))
			}
		})
	}
	for _, part := range []string{"[", "{", `"`, `\`, `{"data":`, `"data":`, `{"a":{`, `[{}],`, ",", " ", "\xff", `"\u0064`, "}", "]"} {
		for _, before := range []string{"", `{"data":`, `{"data":{"a":`, `{"x":`, `{"data":{},"x":`, `{"`} {
			body := []byte(before + strings.Repeat(part, DefaultMaxBody/len(part)))
			_, err := checkEnvelope(t, body)
			assert.Error(t, err)
		}
	}
}

// TestEnvelopeOfEachMutation changes each byte of a body to each of some others.
func TestEnvelopeOfEachMutation(t *testing.T) {
	body := []byte(`{ "x":[{"data":"}"}],"data" : {"a":"\"{","b":[1,null]},"y":-0.1e1}`)
	for i := range body {
		for _, b := range []byte("{}[]\",:\\ \n\x00\x80\xff01-.etnu") {
			changed := append([]byte(nil), body...)
			changed[i] = b
			_, _ = checkEnvelope(t, changed)
			_, _ = checkEnvelope(t, fmt.Appendf(nil, "%s%c%s", body[:i], b, body[i:])) // inserted
			_, _ = checkEnvelope(t, append(append([]byte(nil), body[:i]...), body[i+1:]...))
		}
	}
}

// FuzzEnvelope gives anything as a body, see checkEnvelope.
func FuzzEnvelope(f *testing.F) {
	for _, tt := range envelopes {
		f.Add([]byte(tt.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { _, _ = checkEnvelope(t, body) })
}
