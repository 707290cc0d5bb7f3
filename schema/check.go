package schema

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/internal/strictjson"
)

// checks are what narrows the values of a field, besides its type, format and enum.
type checks struct {
	size    [sizes]bounds
	unique  bool   // no two elements are equal
	pattern string // for messages
	match   *matcher
	low     bound // of numbers
	high    bound
	factor  factor
}

// What has a size.
const (
	ofString = iota
	ofArray
	ofObject
	sizes
)

// sizeNames are what messages call the parts of a value that are counted.
var sizeNames = [sizes]struct{ one, many, code string }{
	{"character", "characters", "length"}, {"element", "elements", "items"}, {"member", "members", "properties"},
}

// bounds are those of a size.
type bounds struct{ least, most int }

// A bound is a number that is compared with, in the form of indexvalue; nil for none.
type bound struct {
	value     []byte
	exclusive bool
	want      string // the message
}

// judge appends the violations of a scalar value, given as text, a string decoded. They
// have no Pointer.
func (k *checks) judge(dst []Violation, kind strictjson.Kind, text []byte) []Violation {
	switch kind {
	case strictjson.String:
		if size := k.size[ofString]; size != (bounds{most: math.MaxInt}) {
			dst = k.judgeSize(dst, ofString, utf8.RuneCount(text), -1)
		}
		if k.match != nil && !k.match.match(text) {
			dst = append(dst, Violation{Code: codePattern, Message: k.pattern})
		}
	case strictjson.Number:
		if k.low.value != nil || k.high.value != nil {
			var buf [64]byte
			value := indexvalue.AppendNumber(buf[:0], text)
			if !k.low.allows(value, 1) {
				dst = append(dst, Violation{Code: codeMinimum, Message: k.low.want})
			}
			if !k.high.allows(value, -1) {
				dst = append(dst, Violation{Code: codeMaximum, Message: k.high.want})
			}
		}
		if k.factor.digits != 0 && !k.factor.divides(text) {
			dst = append(dst, Violation{Code: codeMultipleOf, Message: k.factor.want})
		}
	}
	return dst
}

// judgeSize appends the violation of a size. before is the size of what is stored at the
// place, -1 if nothing is: an update is not judged by a size that it does not make worse.
func (k *checks) judgeSize(dst []Violation, of, size, before int) []Violation {
	b, name := k.size[of], &sizeNames[of]
	part := func(n int) string {
		if n == 1 {
			return "1 " + name.one
		}
		return strconv.Itoa(n) + " " + name.many
	}
	switch {
	case size < b.least && (before < 0 || size < before):
		return append(dst, Violation{Code: "min_" + name.code, Message: "expected at least " + part(b.least)})
	case size > b.most && (before < 0 || size > before):
		return append(dst, Violation{Code: "max_" + name.code, Message: "expected at most " + part(b.most)})
	}
	return dst
}

// allows reports whether a number is on the side of the bound that sign tells: 1 for
// above, -1 for below.
func (b *bound) allows(value []byte, sign int) bool {
	if b.value == nil {
		return true
	}
	order := bytes.Compare(value, b.value) * sign
	return order > 0 || order == 0 && !b.exclusive
}

// A factor is what numbers are a multiple of: digits times ten to the power of exponent.
type factor struct {
	digits   uint64 // 0 for none; its last digit is not 0
	exponent int64
	want     string
}

const (
	maxFactorDigits   = 18 // ten times the digits still fit into 64 bits
	maxFactorExponent = 999
)

// divides reports whether a number is an integral multiple of the factor. It is exact,
// and linear in the text.
func (m *factor) divides(text []byte) bool {
	var rest uint64 // of the digits so far
	var zeros int64 // after the last digit that is not 0
	var shift int64 // the value is the digits times ten to the power of shift
	i, point, nonzero := 0, -1, false
	for ; i < len(text) && text[i]|0x20 != 'e'; i++ {
		switch c := text[i]; {
		case c == '.':
			point = i
		case c == '0':
			zeros++
		case c != '-':
			for ; zeros > 0; zeros-- {
				rest = rest * 10 % m.digits
			}
			rest, nonzero = (rest*10+uint64(c-'0'))%m.digits, true
		}
	}
	if !nonzero {
		return true
	}
	if point >= 0 {
		shift = int64(point + 1 - i)
	}
	if i < len(text) {
		shift += indexvalue.Exponent(text[i+1:])
	}
	shift += zeros - m.exponent
	if shift < 0 {
		return false // the last digit is not 0, so no power of ten divides them
	}
	// More zeros change nothing: the digits of the factor have fewer twos and fives.
	for range min(shift, 64) {
		rest = rest * 10 % m.digits
	}
	return rest == 0
}

// checks compiles the checks of a field: nil if there are none.
func (c *compiler) checks(decl *Field, f *field, p place) *checks {
	k := checks{unique: decl.UniqueItems}
	for of, size := range [sizes]struct {
		least int
		most  *int
		name  string
	}{{decl.MinLength, decl.MaxLength, "Length"}, {decl.MinItems, decl.MaxItems, "Items"}, {decl.MinProperties, decl.MaxProperties, "Properties"}} {
		b := bounds{size.least, math.MaxInt}
		if size.most != nil {
			b.most = *size.most
		}
		if b.least < 0 || b.most < b.least {
			c.mistake(p.pointer, "expected 0 <= min%s <= max%[1]s", size.name)
		}
		k.size[of] = b
	}
	if decl.Pattern != "" {
		if match := c.pattern(decl.Pattern, p); match != nil {
			k.pattern, k.match = "expected a match of "+cutText(decl.Pattern), match
		}
	}
	k.low = c.bound(p, "minimum", decl.Minimum, decl.ExclusiveMinimum, "at least ", "more than ")
	k.high = c.bound(p, "maximum", decl.Maximum, decl.ExclusiveMaximum, "at most ", "less than ")
	if k.low.value != nil && k.high.value != nil {
		if order := bytes.Compare(k.low.value, k.high.value); order > 0 || order == 0 && (k.low.exclusive || k.high.exclusive) {
			c.mistake(p.pointer, "no number is between the minimum and the maximum")
		}
	}
	if decl.MultipleOf != nil {
		k.factor = c.factor(decl.MultipleOf, p)
	}
	none := checks{}
	for of := range none.size {
		none.size[of].most = math.MaxInt
	}
	if k.size == none.size && !k.unique && k.match == nil && k.low.value == nil && k.high.value == nil && k.factor.digits == 0 {
		return nil
	}
	return &k
}

// bound compiles an inclusive and an exclusive bound of numbers; a field has at most one
// of the two.
func (c *compiler) bound(p place, name string, inclusive, exclusive any, atLeast, moreThan string) bound {
	value, want := inclusive, atLeast
	switch {
	case inclusive == nil && exclusive == nil:
		return bound{}
	case inclusive != nil && exclusive != nil:
		c.mistake(p.pointer, "expected a %s that is inclusive or exclusive, not both", name)
		return bound{}
	case inclusive == nil:
		value, want = exclusive, moreThan
	}
	raw := c.number(name, value, p)
	if raw == nil {
		return bound{}
	}
	return bound{indexvalue.AppendNumber(nil, raw), inclusive == nil, "expected " + want + cutText(string(raw))}
}

// number returns the text of a number of a declaration, or nil.
func (c *compiler) number(name string, v any, p place) []byte {
	raw, err := valueOf(v, &field{kinds: kindsOf[Number], want: string(Number)}, p)
	if err != nil {
		c.mistake(p.pointer, "the %s: %v", name, err)
		return nil
	}
	return raw
}

func (c *compiler) factor(v any, p place) factor {
	raw := c.number("multipleOf", v, p)
	if raw == nil {
		return factor{}
	}
	text, exponent := raw, int64(0)
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		text, exponent = text[:i], indexvalue.Exponent(text[i+1:])
	}
	if whole, fraction, ok := bytes.Cut(text, []byte{'.'}); ok {
		text, exponent = append(bytes.Clone(whole), fraction...), exponent-int64(len(fraction))
	}
	text = bytes.TrimLeft(text, "0")
	digits := bytes.TrimRight(text, "0")
	exponent += int64(len(text) - len(digits))
	if len(digits) == 0 || raw[0] == '-' || len(digits) > maxFactorDigits || exponent < -maxFactorExponent || exponent > maxFactorExponent {
		c.mistake(p.pointer, "the multipleOf: expected a positive number of at most %d digits, times ten to the power of -%d to %[2]d", maxFactorDigits, maxFactorExponent)
		return factor{}
	}
	n, _ := strconv.ParseUint(string(digits), 10, 64)
	return factor{n, exponent, "expected a multiple of " + cutText(string(raw))}
}

// cutText returns a text for a message, cut after some 100 bytes.
func cutText(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// patterns are the compiled regular expressions of one definition, by their text: schemas
// repeat the same ones in many fields.
type patterns struct {
	compiled     map[string]*matcher
	instructions int
	room         int // for states of automatons
}

// pattern compiles a pattern, or returns nil.
func (c *compiler) pattern(text string, p place) *matcher {
	if match := c.patterns.compiled[text]; match != nil || c.patterns.instructions > maxInstructions { // which is a mistake already
		return match
	}
	match, size, err := compilePattern(text, &c.patterns.room)
	if c.patterns.instructions += size; err == nil && c.patterns.instructions > maxInstructions {
		err = fmt.Errorf("expected at most %d instructions in all patterns", maxInstructions)
	}
	if err != nil {
		c.mistake(p.pointer, "the pattern: %v", err)
		return nil
	}
	c.patterns.compiled[text] = match
	return match
}
