package typed

import (
	"encoding/json"
	"errors"
)

// An Opt is a field of a typed document that is not set, is null, or has a value.
// The zero Opt is not set: with the JSON option omitzero it is left out, so that
// a merge leaves the stored field alone. Null deletes the field (RFC 7396), and is
// never sent by accident.
//
//	type Order struct {
//		ID    string                  `json:"orderId"`
//		State typed.Opt[string]    `json:"state,omitzero"`
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

// isOpt says to Encode that an Opt encodes what it holds by itself.
func (o Opt[T]) isOpt() {}

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

var errNoNumber = errors.New("typed: an Opt is set to an empty json.Number: expected Null, or a number")

var errNil = errors.New("typed: an Opt is set to a nil value, which would delete the field: expected Null, or a value")

var errUnset = errors.New("typed: an Opt that is not set needs the option omitzero, or it would delete the field")

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
