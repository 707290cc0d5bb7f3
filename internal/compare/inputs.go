package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf16"

	"github.com/tidwall/gjson"
)

// rotating is the number of different documents that a row goes through: one
// document again and again would flatter the branch predictor.
const rotating = 512

// An input is a stored document and two merge patches for it. Both patches have
// the same members, with other values, so that applying them in turns changes
// something each time.
type input struct {
	target, patch, other []byte
}

// A script says what the texts of a customer are made of.
type script int

const (
	ascii   script = iota
	cjk            // names and paths in Han, kana and Hangul, as UTF-8
	escapes        // \n, \", \/, \uXXXX and pairs of surrogates, as many writers send them
)

// seed makes all inputs the same in every run and on every machine.
func seed(n uint64) *rand.Rand { return rand.New(rand.NewPCG(7396, n)) }

var letters = map[script][]string{
	ascii: strings.Split("a b c d e f g h i k l m n o p r s t u v w y z", " "),
	cjk:   strings.Split("田 中 佐 藤 鈴 木 高 橋 渡 辺 王 李 张 刘 陈 杨 ア キ ラ 김 이 박 최 정", " "),
	escapes: append(strings.Split("a e i o u n r s t l é ü ñ ß č ø 😀 𝒳 \" \\ /", " "),
		"\n", "\t", "\u2028"),
}

// word returns n letters of the script.
func (s script) word(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(letters[s][r.IntN(len(letters[s]))])
	}
	return b.String()
}

// quote returns text as a JSON string in the manner of the script.
func (s script) quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case s == escapes && c == '/':
			b.WriteString(`\/`)
		case s == escapes && c > 0xFFFF:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		case s == escapes && c >= 0x80:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// A customer's members, in the order of the schema.
var members = []string{
	"customerId", "email", "phone", "firstName", "lastName", "emailOptOut", "smsOptOut", "customerDetailUrl", "createdAt",
}

// member returns a value for a member of customer n.
func (s script) member(r *rand.Rand, name string, n int) string {
	length := 1 // of a text; letters of one byte need more of them
	if s == ascii {
		length = 2
	}
	switch name {
	case "customerId":
		return fmt.Sprintf(`"cust-%08d"`, n)
	case "email":
		return fmt.Sprintf(`"%s.%s@example.com"`, ascii.word(r, 3+r.IntN(4)), ascii.word(r, 4+r.IntN(5)))
	case "phone":
		return fmt.Sprintf(`"+1555%07d"`, r.IntN(10_000_000))
	case "firstName", "lastName":
		return s.quote(s.word(r, length*(3+r.IntN(4))))
	case "emailOptOut", "smsOptOut":
		return fmt.Sprint(r.IntN(2) == 0)
	case "customerDetailUrl":
		if s == escapes {
			length = 0
		}
		return s.quote(fmt.Sprintf("https://crm.example.com/tenants/%d/customers/%s?ref=%x&view=detail",
			r.IntN(1000), s.word(r, 4+length*length*(4+r.IntN(8))), r.Uint64()))
	case "createdAt":
		return fmt.Sprintf(`"20%02d-%02d-%02dT%02d:%02d:%02dZ"`,
			10+r.IntN(16), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	panic("no such member: " + name)
}

// customers returns documents of about 350 bytes that are valid by the built-in
// customers schema, and patches of about 120 bytes for them: partial upserts as
// clients send them, which name the customer, change some members, delete some
// and add those that the document lacks. The patches leave no document without
// a required member.
func customers(s script, n int) []input {
	r := seed(uint64(s))
	list := make([]input, n)
	for i := range list {
		list[i] = newCustomer(s, r, i)
	}
	return list
}

func newCustomer(s script, r *rand.Rand, n int) input {
	var in input
	doc := object{}
	for _, name := range members {
		if r.IntN(8) > 0 || name != "phone" && name != "emailOptOut" {
			doc.add(name, s.member(r, name, n))
		}
	}
	in.target = doc.bytes()

	// Clients write members in the order of their own types, which is the
	// schema's; which of them changed is chance.
	values, size := make([]string, len(members)), 0
	for _, k := range r.Perm(len(members)) {
		name := members[k]
		if name == "customerId" || name == "createdAt" || name == "customerDetailUrl" {
			continue // identity, never changed in practice, and a third of the document
		}
		value := s.member(r, name, n)
		if (name == "email" || name == "phone") && r.IntN(3) == 0 {
			value = "null"
		}
		if size+len(name)+len(value) <= 90 {
			values[k] = value
			size += len(name) + len(value) + 4
		}
	}
	values[0] = s.member(r, "customerId", n)
	patch, other := object{}, object{}
	for k, value := range values {
		if value == "" {
			continue
		}
		patch.add(members[k], value)
		change := s.member(r, members[k], n)
		for k > 0 && change == value {
			change = s.member(r, members[k], n)
		}
		other.add(members[k], change)
	}
	in.patch, in.other = patch.bytes(), other.bytes()
	return in
}

// each returns the inputs with every text changed by fn.
func each(list []input, fn func(text []byte) []byte) []input {
	for i, in := range list {
		list[i] = input{fn(in.target), fn(in.patch), fn(in.other)}
	}
	return list
}

// reordered returns customers of which each has an order of its own, and each patch.
func reordered(n int) []input {
	r := seed(11)
	return each(customers(ascii, n), func(text []byte) []byte {
		list := rawMembers(text)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return []byte("{" + strings.Join(list, ",") + "}")
	})
}

func rawMembers(text []byte) (list []string) {
	gjson.ParseBytes(text).ForEach(func(name, value gjson.Result) bool {
		list = append(list, name.Raw+":"+value.Raw)
		return true
	})
	return list
}

// pretty returns customers and patches with a member on each line.
func pretty(n int) []input {
	return each(customers(ascii, n), func(text []byte) []byte {
		var out bytes.Buffer
		if err := json.Indent(&out, text, "", "  "); err != nil {
			panic(err) // customers made it
		}
		return out.Bytes()
	})
}

// mixed returns customers with an object and a short array among their members.
// Half of the patches change something in the object, a quarter replace the array.
func mixed(n int) []input {
	r := seed(12)
	texts := 0
	return each(customers(ascii, n), func(text []byte) []byte {
		list := rawMembers(text)
		k := len(list) / 2
		billing := fmt.Sprintf(`"billing":{"currency":%s,"country":%s,"limit":%d}`,
			ascii.quote(ascii.word(r, 3)), ascii.quote(ascii.word(r, 2)), r.IntN(10_000))
		tags := fmt.Sprintf(`"tags":[%s,%s]`, ascii.quote(ascii.word(r, 5)), ascii.quote(ascii.word(r, 8)))
		texts++
		switch {
		case texts%3 == 1: // a target
			list = append(list[:k:k], append([]string{billing, tags}, list[k:]...)...)
		case texts%2 == 0:
			list = append(list, fmt.Sprintf(`"billing":{"limit":%d}`, r.IntN(10_000)))
		case texts%4 == 1:
			list = append(list, tags)
		}
		return []byte("{" + strings.Join(list, ",") + "}")
	})
}

// orders returns documents of 20 members, about 450 B, by the schema of orderFields,
// and patches of about 120 B.
func orders(n int) []input {
	r := seed(13)
	list := make([]input, n)
	for i := range list {
		doc, patch, other := object{}, object{}, object{}
		for k, f := range orderFields {
			if k == 0 || r.IntN(10) > 0 || f.required {
				doc.add(f.name, f.value(r, i))
			}
			if k == 0 || k%5 == i%5 {
				patch.add(f.name, f.value(r, i))
				other.add(f.name, f.value(r, i))
			}
		}
		list[i] = input{doc.bytes(), patch.bytes(), other.bytes()}
	}
	return list
}

// orderFields are those of a schema of 20 fields.
var orderFields = func() (fields []orderField) {
	add := func(typ, names string, required bool, value func(r *rand.Rand, n int) string) {
		for name := range strings.FieldsSeq(names) {
			fields = append(fields, orderField{name, typ, required, value})
		}
	}
	text := func(r *rand.Rand, _ int) string { return ascii.quote(ascii.word(r, 6+r.IntN(20))) }
	number := func(r *rand.Rand, _ int) string { return fmt.Sprintf("%d.%02d", r.IntN(10_000), r.IntN(100)) }
	count := func(r *rand.Rand, _ int) string { return fmt.Sprint(r.IntN(1_000_000)) }
	truth := func(r *rand.Rand, _ int) string { return fmt.Sprint(r.IntN(2) == 0) }
	date := func(r *rand.Rand, n int) string { return ascii.member(r, "createdAt", n) }
	add("string", "orderId", true, func(_ *rand.Rand, n int) string { return fmt.Sprintf(`"order-%08d"`, n) })
	add("string", "customerId status channel currency", true, text)
	add("number", "total tax shipping discount", false, number)
	add("integer", "itemCount weightGrams", false, count)
	add("boolean", "paid gift taxExempt", false, truth)
	add("date-time", "placedAt shippedAt", false, date)
	add("string", "carrier trackingCode note coupon", false, text)
	return fields
}()

// An orderField is a field with its type, or the format of a string.
type orderField struct {
	name, typ string
	required  bool
	value     func(r *rand.Rand, n int) string
}

// nested returns documents of about 10 KB with objects up to five levels deep,
// and patches of about 250 bytes that reach down in three places.
func nested(n int) []input {
	r := seed(10)
	list := make([]input, n)
	for i := range list {
		list[i] = input{newNested(r, i), newNestedPatch(r, i), newNestedPatch(r, i)}
	}
	return list
}

func newNested(r *rand.Rand, n int) []byte {
	text := func(n int) string { return ascii.quote(ascii.word(r, n)) }
	address := func() string {
		a := object{}
		a.add("street", text(12+r.IntN(10)))
		a.add("city", text(5+r.IntN(8)))
		a.add("zip", fmt.Sprintf(`"%05d"`, r.IntN(100_000)))
		a.add("location", fmt.Sprintf(`{"lat":%d.%d,"lon":-%d.%d}`, r.IntN(90), 1+r.IntN(9), 1+r.IntN(179), 1+r.IntN(9)))
		return a.String()
	}
	channel := func() string {
		return fmt.Sprintf(`{"enabled":%t,"frequency":%s,"topics":[%s,%s]}`, r.IntN(2) == 0, text(6), text(5), text(7))
	}
	doc := object{}
	doc.add("customerId", ascii.member(r, "customerId", n))
	doc.add("profile", fmt.Sprintf(`{"name":{"first":%s,"last":%s,"title":null},"addresses":{"home":%s,"work":%s}}`,
		text(6), text(9), address(), address()))
	doc.add("preferences", fmt.Sprintf(`{"channels":{"email":%s,"sms":%s,"push":%s},"language":"en"}`,
		channel(), channel(), channel()))
	orders := object{}
	for k := 0; doc.Len()+orders.Len() < 9_800; k++ {
		items := make([]string, 1+r.IntN(4))
		for j := range items {
			items[j] = fmt.Sprintf(`{"sku":"%06X","count":%d,"price":%d.%d,"gift":%t}`,
				r.IntN(1<<24), 1+r.IntN(9), r.IntN(500), 1+r.IntN(9), r.IntN(9) == 0)
		}
		order := object{}
		order.add("status", text(7))
		order.add("placedAt", ascii.member(r, "createdAt", n))
		order.add("ship", fmt.Sprintf(`{"to":%s,"carrier":%s}`, address(), text(5)))
		order.add("items", "["+strings.Join(items, ",")+"]")
		orders.add(fmt.Sprintf("order_%04d", k), order.String())
	}
	doc.add("orders", orders.String())
	return doc.bytes()
}

func newNestedPatch(r *rand.Rand, n int) []byte {
	return fmt.Appendf(nil, `{"customerId":%s,"profile":{"addresses":{"home":{"city":%s,"zip":null}}},`+
		`"preferences":{"channels":{"sms":{"enabled":%t}}},`+
		`"orders":{"order_%04d":{"status":"shipped","ship":{"tracking":"%08X"}},"order_%04d":null}}`,
		ascii.member(r, "customerId", n), ascii.quote(ascii.word(r, 5+r.IntN(8))), r.IntN(2) == 0,
		r.IntN(10), r.Uint32(), 10+r.IntN(10))
}

// wide returns documents of 1 MB in 10,000 members, and patches of 1,000
// members that change 700, delete 150 and add 150. One of them lasts longer
// than the branch predictor's memory, so n may be small.
func wide(n int) []input {
	r := seed(1_000_000)
	list := make([]input, n)
	for i := range list {
		doc, patch, other := object{}, object{}, object{}
		for k := range 10_000 {
			doc.add(fmt.Sprintf("member_%05d", k), ascii.quote(ascii.word(r, 70+r.IntN(27))))
		}
		for j, k := range r.Perm(10_000)[:1000] {
			name, value := fmt.Sprintf("member_%05d", k), ascii.quote(ascii.word(r, 70+r.IntN(27)))
			switch {
			case j%20 < 3:
				value = "null"
			case j%20 < 6:
				name = fmt.Sprintf("member_%05d", 10_000+k)
			}
			patch.add(name, value)
			other.add(name, ascii.quote(ascii.word(r, 70+r.IntN(27))))
		}
		list[i] = input{doc.bytes(), patch.bytes(), other.bytes()}
	}
	return list
}

// wideBy returns a document of n members of about 50 bytes each, and a patch that
// changes every tenth.
func wideBy(n int) input {
	doc, patch := object{}, object{}
	r := seed(uint64(n))
	for k := range n {
		doc.add(fmt.Sprintf("member_%06d", k), ascii.quote(ascii.word(r, 32)))
		if k%10 == 0 {
			patch.add(fmt.Sprintf("member_%06d", k), ascii.quote(ascii.word(r, 32)))
		}
	}
	return input{target: doc.bytes(), patch: patch.bytes()}
}

// deleting is wideBy with a patch that deletes every member.
func deleting(n int) input {
	patch := object{}
	for k := range n {
		patch.add(fmt.Sprintf("member_%06d", k), "null")
	}
	return input{target: wideBy(n).target, patch: patch.bytes()}
}

// deep returns n objects inside each other, each with some text of its own, and
// a patch that changes the text of each.
func deep(n int) input {
	r := seed(uint64(n))
	build := func() []byte {
		var b strings.Builder
		for range n - 1 {
			fmt.Fprintf(&b, `{"text":%s,"kept_or_not":%d,"inner":`, ascii.quote(ascii.word(r, 32)), r.IntN(1000))
		}
		return []byte(b.String() + `{"text":"last"}` + strings.Repeat("}", n-1))
	}
	return input{target: build(), patch: build()}
}

// An object is a JSON object in the making.
type object struct{ strings.Builder }

func (o *object) add(name, value string) {
	if o.Len() == 0 {
		o.WriteByte('{')
	} else {
		o.WriteByte(',')
	}
	o.WriteString(`"` + name + `":` + value)
}

// String returns the object.
func (o *object) String() string {
	if o.Len() == 0 {
		return "{}"
	}
	return o.Builder.String() + "}"
}

func (o *object) bytes() []byte { return []byte(o.String()) }
