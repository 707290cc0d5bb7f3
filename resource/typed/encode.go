package typed

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// Encode returns the JSON of a typed document, for Create or Patch, as encoding/json
// makes it, without escapes for HTML.
//
// The error is for a string that is not valid UTF-8, in a value, a map key or the result
// of MarshalText or MarshalJSON: encoding/json would replace its bytes by U+FFFD, and two
// ids could become one. A U+FFFD in a string is not an error. Other errors are those of
// encoding/json. No error holds a value.
//
// If the JSON has a U+FFFD, the marshalers in document are called a second time, and
// fields that encoding/json left out are judged too.
func Encode(document any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil, hideValue("encode", err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if !utf8.Valid(text) || mayBeReplaced(text) && !(judge{}).valid(reflect.ValueOf(document)) {
		return nil, errUTF8
	}
	return text, nil
}

var errUTF8 = errors.New("typed: cannot encode a string that is not valid UTF-8")

// mayBeReplaced reports whether a JSON text holds U+FFFD: as it is, which is what
// encoding/json writes for invalid UTF-8 since Go 1.27, or as the escape of before.
func mayBeReplaced(text []byte) bool {
	return bytes.Contains(text, []byte("\ufffd")) || bytes.Contains(text, []byte(`\ufffd`))
}

// A judge looks for invalid UTF-8 in a Go value that encoding/json has encoded. The
// output does not tell: the value may hold U+FFFD itself. The map has the pointers that
// it has followed, so that it comes to an end in fields that were not encoded.
type judge map[visit]bool

type visit struct {
	typ     reflect.Type
	address uintptr
}

// valid reports whether every string that v is encoded from is valid UTF-8.
func (j judge) valid(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Interface:
		return j.valid(v.Elem())
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return true
		}
	}
	if text, ok := marshaled(v); ok {
		return utf8.Valid(text)
	}
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer:
		at := visit{v.Type(), v.Pointer()}
		if j[at] {
			return true
		}
		j[at] = true
		return j.valid(v.Elem())
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !j.valid(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			key, value := iter.Key(), iter.Value()
			if key.Kind() == reflect.String && !utf8.ValidString(key.String()) || !j.valid(key) || !j.valid(value) {
				return false
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if isEncoded(v.Type().Field(i)) && !j.valid(v.Field(i)) {
				return false
			}
		}
	}
	return true
}

// marshaled returns what the value's own method makes of it, if encoding/json calls
// one. An Opt has judged what is in it when it was encoded.
func marshaled(v reflect.Value) (text []byte, ok bool) {
	if !v.CanInterface() { // an embedded struct of a type that is not exported
		return nil, false
	}
	if v.Kind() != reflect.Pointer && v.CanAddr() {
		v = v.Addr()
	}
	switch m := v.Interface().(type) {
	case interface{ isOpt() }:
		return nil, true
	case json.Marshaler:
		text, _ = m.MarshalJSON() // it has succeeded before
		return text, true
	case encoding.TextMarshaler:
		text, _ = m.MarshalText()
		return text, true
	}
	return nil, false
}

// isEncoded reports whether encoding/json looks at a field of a struct.
func isEncoded(f reflect.StructField) bool {
	if f.Tag.Get("json") == "-" {
		return false
	}
	typ := f.Type
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	return f.IsExported() || f.Anonymous && typ.Kind() == reflect.Struct
}

// hideValue returns an error that says what went wrong, and not with which value.
func hideValue(what string, err error) error {
	for _, known := range []error{errUnset, errNil, errNoNumber, errUTF8} {
		if errors.Is(err, known) {
			return known
		}
	}
	var unsupported *json.UnsupportedTypeError
	if errors.As(err, &unsupported) {
		return fmt.Errorf("typed: cannot %s the Go type %v", what, unsupported.Type)
	}
	return fmt.Errorf("typed: cannot %s the document", what)
}
