package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"example.com/resourcekit/internal/strictjson"
)

// rawValue returns the JSON text of a Go value of the types of Field.Enum.
func rawValue(v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("expected valid UTF-8")
		}
		return strictjson.AppendQuoted(make([]byte, 0, len(v)+2), v), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, errors.New("expected a finite number")
		}
		return json.Marshal(v)
	case json.Number:
		return []byte(v), nil
	case json.RawMessage:
		return slices.Clone([]byte(v)), nil
	}
	switch v := reflect.ValueOf(v); v.Kind() { // a type of the program's own
	case reflect.String:
		return rawValue(v.String())
	case reflect.Bool:
		return rawValue(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return rawValue(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(nil, v.Uint(), 10), nil
	case reflect.Float64:
		return rawValue(v.Float())
	}
	return nil, fmt.Errorf("a value of Go type %T; expected a string, a bool, an integer, a float64, json.Number or json.RawMessage", v)
}

// decoded returns the value of a valid JSON string.
func decoded(raw []byte) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return ""
	}
	return s
}
