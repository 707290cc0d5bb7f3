package typed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"example.com/resourcekit/internal/strictjson"
)

// Decode returns the document of a resource.Resource or resource.Result as a T, a struct
// or a map. Members that T does not name are left out. Names are matched without regard
// to case, as by encoding/json: if names of a schema differ by case alone, T should have
// all of them. A number becomes a json.Number in an any, which keeps its text; declare a
// field as json.Number to keep it there. A Go integer accepts each number that an
// Integer field does, if it is in range: 1.0 and 10e-1 are 1.
//
// The error names the first value that does not fit by its JSON Pointer (RFC 6901), or
// an object or array around it if the search would take too long. It does not hold the
// value.
func Decode[T any](r interface{ Data() []byte }) (T, error) {
	var document, scratch T
	text := r.Data()
	if decode(text, &document) == nil {
		return document, nil
	}
	d := strictjson.Get()
	defer strictjson.Put(d)
	err := d.Parse(text, strictjson.MaxDepth)
	if err == nil {
		f := fitting{doc: d, budget: 100 * len(text), takes: func(text []byte) bool { return decode(text, &scratch) == nil }}
		if text, err = f.append(nil, 0, "", "", ""); err == nil {
			document = *new(T)
			err = decode(text, &document)
		}
	}
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

// A fitting finds the values of a document that its Go type does not take, by decoding
// them one by one. What encoding/json says of the place depends on its version, and is
// nothing in a type with a method of its own, such as an Opt.
type fitting struct {
	doc    *strictjson.Doc
	takes  func(text []byte) bool // decodes a document
	budget int                    // how many more bytes may be decoded
}

var errBudget = errors.New("the budget is used up")

// append appends node i to dst, with integers as Go reads them where the Go type has
// one. before and after are what stands around the node in a document of its own, and
// pointer is its place.
func (f *fitting) append(dst []byte, i uint32, before, after, pointer string) ([]byte, error) {
	fits := func(text string) bool {
		f.budget -= len(before) + len(text) + len(after)
		return f.budget >= 0 && f.takes(slices.Concat([]byte(before), []byte(text), []byte(after)))
	}
	n, text := &f.doc.Nodes[i], string(f.doc.Text(i))
	if fits(text) {
		return append(dst, text...), nil
	}
	if f.budget < 0 {
		return nil, errBudget
	}
	refused := fmt.Errorf("typed: cannot decode %.200q: the %v does not fit its Go type", pointer, n.Kind)
	opening, closing := text[:1], text[len(text)-1:]
	switch n.Kind {
	case strictjson.Number:
		if plain := plainInteger(text); plain != text && fits(plain) {
			return append(dst, plain...), nil
		}
		return nil, refused
	case strictjson.Object, strictjson.Array:
		if !fits(opening + closing) {
			return nil, refused
		}
	default:
		return nil, refused
	}
	dst = append(dst, opening...)
	for c, place := i+1, 0; c < n.Next; c, place = f.doc.Nodes[c].Next, place+1 {
		name, step := "", strconv.Itoa(place)
		if n.Kind == strictjson.Object {
			name = `"` + string(f.doc.RawName(c)) + `":`
			step = string(f.doc.AppendName(nil, c))
		}
		if place > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
		var err error
		dst, err = f.append(dst, c, before+opening+name, closing+after, string(strictjson.AppendPointer([]byte(pointer), []byte(step))))
		if err == errBudget {
			err = refused
		}
		if err != nil {
			return nil, err
		}
	}
	return append(dst, closing...), nil
}

// plainInteger returns an integral number as its digits alone, as Go's integers are
// read. It returns any other number, and one that is too large for them, as it is.
func plainInteger(number string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "0"
	}
	shift, err := strconv.Atoi(cmp.Or(exponent, "0"))
	shift -= len(fraction)
	significant := strings.TrimRight(digits, "0")
	shift += len(digits) - len(significant)
	if err != nil || shift < 0 || shift > 19 {
		return number
	}
	if negative {
		significant = "-" + significant
	}
	return significant + strings.Repeat("0", shift)
}
