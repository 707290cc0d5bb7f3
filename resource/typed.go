package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// An Opt is a field of a typed document that is not set, is null, or has a value.
// The zero Opt is not set: with the JSON option omitzero it is left out, so that
// a merge leaves the stored field alone. Null deletes the field (RFC 7396), and is
// never sent by accident.
//
//	type Order struct {
//		ID    string                  `json:"orderId"`
//		State resource.Opt[string]    `json:"state,omitzero"`
//	}
type Opt[T any] struct {
	value T
	state optState
}

type optState uint8

const (
	optUnset optState = iota
	optNull
	optValue
)

// Set returns an Opt that has the value.
func Set[T any](value T) Opt[T] { return Opt[T]{value, optValue} }

// Null returns an Opt that deletes the field.
func Null[T any]() Opt[T] { return Opt[T]{state: optNull} }

// Get returns the value, or false when there is none.
func (o Opt[T]) Get() (T, bool) { return o.value, o.state == optValue }

// Or returns the value, or other when there is none.
func (o Opt[T]) Or(other T) T {
	if o.state == optValue {
		return o.value
	}
	return other
}

// IsZero reports whether the field is not set: what omitzero asks.
func (o Opt[T]) IsZero() bool { return o.state == optUnset }

// IsNull reports whether the field is to be deleted.
func (o Opt[T]) IsNull() bool { return o.state == optNull }

// String returns "unset", "null" or "set", and not the value, which may be personal
// data: a typed document in a log line shows which fields it has.
func (o Opt[T]) String() string {
	switch o.state {
	case optNull:
		return "null"
	case optValue:
		return "set"
	}
	return "unset"
}

// GoString is String, for the verb %#v.
func (o Opt[T]) GoString() string { return o.String() }

// MarshalJSON returns the value's JSON, or null. A field that is not set is null
// as well, so it must be left out by omitzero; encoding it is an error. So is a value
// that encodes to null, such as a nil slice, and an empty json.Number, of which
// encoding/json would make a 0. What is inside a value is not looked at: a nil in a
// map is a null, and deletes.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	switch o.state {
	case optNull:
		return []byte("null"), nil
	case optValue:
		if n, ok := any(o.value).(json.Number); ok && n == "" {
			return nil, errNoNumber
		}
		text, err := Encode(o.value)
		if err == nil && string(text) == "null" {
			err = errNil
		}
		return text, err
	}
	return nil, errUnset
}

var errNoNumber = errors.New("resource: an Opt is set to an empty json.Number: want Null, or a number")

var errNil = errors.New("resource: an Opt is set to a nil value, which would delete the field: want Null, or a value")

var errUnset = errors.New("resource: an Opt that is not set needs the option omitzero, or it would delete the field")

// UnmarshalJSON reads a value or null.
func (o *Opt[T]) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*o = Null[T]()
		return nil
	}
	var value T
	if err := decode(text, &value); err != nil {
		return err
	}
	*o = Set(value)
	return nil
}

// Encode returns the JSON of a typed document, for Create or Patch: as
// encoding/json has it, but without escapes for HTML, and with an error for
// strings that are not valid UTF-8, which encoding/json would replace in silence.
// A json.RawMessage, or a MarshalJSON of one's own, that spells the replacement
// character as an escape cannot be told from that, and is an error as well. No
// error holds a value.
func Encode(document any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil, hideValue("encode", err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if hasReplacement(text) {
		return nil, errors.New("resource: cannot encode a string that is not valid UTF-8, or has the escape of U+FFFD")
	}
	return text, nil
}

// hasReplacement reports whether a JSON text has the escape that encoding/json
// writes for a byte that is not UTF-8. It writes the character itself where the
// caller has it.
func hasReplacement(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(text[i:], []byte(`\ufffd`)) {
			return true
		}
		i++ // whatever is escaped, a backslash too
	}
	return false
}

// Decode returns a resource's document as a T, a struct or a map. Members that T
// does not name are left out; as encoding/json has it, the case of letters does not
// count in that, so T should name all fields of a schema in which names differ by
// case alone. Numbers that meet an any are json.Number, so that
// they keep their text; a number field should be json.Number too where that
// matters. The error holds no value.
func Decode[T any](r *Resource) (T, error) {
	var document T
	err := decode(r.shown, &document)
	return document, err
}

func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return hideValue("decode", err)
	}
	return nil
}

// hideValue returns an error that says what kind of value was wrong where, and
// not what it was.
func hideValue(what string, err error) error {
	for _, known := range []error{errUnset, errNil, errNoNumber} {
		if errors.Is(err, known) {
			return known
		}
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return fmt.Errorf("resource: cannot %s %s: its Go type is %v", what, wrongType.Field, wrongType.Type)
	}
	var unsupported *json.UnsupportedTypeError
	if errors.As(err, &unsupported) {
		return fmt.Errorf("resource: cannot %s the Go type %v", what, unsupported.Type)
	}
	return fmt.Errorf("resource: cannot %s the document", what)
}
