package merge_test

import (
	"errors"
	"fmt"

	"example.com/resourcekit/merge"
)

func Example_nullDeletesMember() {
	stored := []byte(`{"firstName":"Ada","phone":"+44 20 7946 0000","vip":true}`)
	out, err := merge.Patch(stored, []byte(`{"phone":null,"email":"ada@example.com"}`))
	fmt.Println(string(out), err)
	// Output: {"firstName":"Ada","vip":true,"email":"ada@example.com"} <nil>
}

func Example_arraysAreReplacedWhole() {
	stored := []byte(`{"tags":["new","paid"],"address":{"city":"London","zip":"N1"}}`)
	out, err := merge.Patch(stored, []byte(`{"tags":["paid",null],"address":{"zip":"E2"}}`))
	fmt.Println(string(out), err)
	// Output: {"tags":["paid",null],"address":{"city":"London","zip":"E2"}} <nil>
}

func Example_numbersKeepTheirText() {
	stored := []byte(`{"balance":100.10,"limit":1e400,"ref":123456789012345678901234567890}`)
	out, err := merge.Patch(stored, []byte(`{"rate":0.30000000000000000001}`))
	fmt.Println(string(out), err)
	// Output: {"balance":100.10,"limit":1e400,"ref":123456789012345678901234567890,"rate":0.30000000000000000001} <nil>
}

func ExamplePatch_syntaxError() {
	_, err := merge.Patch([]byte(`{}`), []byte(`{"email":"a@example.com","email":null}`))
	var syntax *merge.SyntaxError
	if errors.As(err, &syntax) {
		fmt.Println(syntax.Offset, syntax.Reason)
	}
	fmt.Println(err)
	// Output:
	// 25 duplicate member name
	// merge: patch: not strict JSON at byte 25: duplicate member name
}

func ExampleAppend() {
	buf := make([]byte, 0, 4096) // reused from call to call
	buf, err := merge.Append(buf[:0], []byte(`{"a":1}`), []byte(`{"b":2}`))
	fmt.Println(string(buf), err)
	// Output: {"a":1,"b":2} <nil>
}

func ExampleDiff() {
	from := []byte(`{"name":"Ada","phone":"1","address":{"city":"London","zip":"N1"}}`)
	to := []byte(`{"name":"Ada","address":{"city":"Paris","zip":"N1"}}`)
	patch, err := merge.Diff(from, to)
	fmt.Println(string(patch), err)
	// Output: {"address":{"city":"Paris"},"phone":null} <nil>
}

func ExampleDiff_notRepresentable() {
	_, err := merge.Diff([]byte(`{}`), []byte(`{"phone":null}`))
	fmt.Println(errors.Is(err, merge.ErrNotRepresentable))
	// Output: true
}

func ExampleChanges() {
	changed, removed, err := merge.Changes(
		[]byte(`{"name":"Ada","phone":"1","address":{"city":"London"}}`),
		[]byte(`{"name":"Ada","address":{"city":"Paris"},"vip":true}`))
	fmt.Println(changed, removed, err)
	// Output: [/address/city /vip] [/phone] <nil>
}

func ExampleEqual() {
	fmt.Println(merge.Equal([]byte(`{"a":"\u00e9","b":1}`), []byte(`{ "b": 1, "a": "é" }`)))
	fmt.Println(merge.Equal([]byte(`1`), []byte(`1.0`)))
	// Output:
	// true
	// false
}
