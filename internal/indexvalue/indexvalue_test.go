package indexvalue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const pairs = 100_000

// seeded returns a source of random numbers, and tells its seed if the test fails.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// assertOrder demands that the whole values of a and b have the order of what they stand
// for, and that the cut ones and the bounds of searches agree with it, which takes longer
// and is left out for most random pairs.
func assertOrder(t *testing.T, nameA, nameB string, a, b []byte, want int, random bool) {
	t.Helper()
	demand := func(ok bool, rule string) {
		if !ok {
			t.Helper()
			t.Fatalf("%s: %.300q (%x) and %.300q (%x), want order %d", rule, nameA, a, nameB, b, want)
		}
	}
	demand(bytes.Compare(a, b) == want, "whole values")
	demand(Absent < string(a) && Present <= string(a), "absent comes first")
	if random && len(a)+len(b) < maxWhole && (len(a)+len(b))%16 > 0 {
		return
	}
	for _, unique := range []bool{false, true} {
		x, y := Cut(bytes.Clone(a), unique), Cut(bytes.Clone(b), unique)
		demand(len(x) >= 1 && len(x) <= 256, "1 to 256 bytes")
		order := bytes.Compare(x, y)
		if unique {
			demand((order == 0) == (want == 0), "only equal values are equal")
		} else {
			demand(order == want || order == 0 && min(len(a), len(b)) > maxWhole, "cut values")
		}
		from, to := Only(b, unique)
		demand(within(x, from, to) == (order == 0), "Only")
		demand(want < 0 || within(x, From(b), nil), "From")
		demand(want >= 0 || within(x, nil, To(b)), "To")
		demand(!bytes.HasPrefix(a, b) || within(x, From(b), Next(b)), "Next")
		demand(max(len(From(b)), len(To(b)), len(Next(b)), len(from), len(to)) <= 256, "bounds of 256 bytes")
	}
}

func within(x, from, to []byte) bool {
	return bytes.Compare(from, x) <= 0 && (to == nil || bytes.Compare(x, to) < 0)
}

// sign returns the sign of a difference as bytes.Compare does.
func sign(n int) int { return max(-1, min(n, 1)) }

// randomNumber returns a JSON number of up to 200 digits, or another text of a number
// near to it.
func randomNumber(r *rand.Rand, near string) string {
	if near != "" && r.IntN(3) > 0 {
		b := []byte(near)
		switch at := r.IntN(len(b)); {
		case r.IntN(3) == 0 && !strings.ContainsAny(near, "eE"):
			if !strings.Contains(near, ".") {
				b = append(b, '.')
			}
			b = append(b, strings.Repeat("0", 1+r.IntN(3))...)
		case b[at] >= '1' && b[at] <= '8':
			b[at]++
		}
		return string(b)
	}
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0012345678999"[r.IntN(13)]
		}
		return string(b)
	}
	text := strings.TrimLeft(digits(1+r.IntN([]int{2, 20, 20, 100}[r.IntN(4)])), "0")
	if text == "" {
		text = "0"
	}
	if r.IntN(2) == 0 {
		text += "." + digits(1+r.IntN([]int{2, 20, 20, 100}[r.IntN(4)]))
	}
	if r.IntN(2) == 0 {
		text += fmt.Sprintf("%c%s%d", "eE"[r.IntN(2)], []string{"", "+", "-"}[r.IntN(3)], r.IntN([]int{4, 80, 80, 500}[r.IntN(4)]))
	}
	if r.IntN(2) == 0 {
		text = "-" + text
	}
	return text
}

func exact(t testing.TB, text string) *big.Rat {
	n, ok := new(big.Rat).SetString(text)
	require.True(t, ok, text)
	return n
}

// TestNumberOrder: bytes have the order of math/big.
func TestNumberOrder(t *testing.T) {
	r := seeded(t)
	for range pairs {
		a := randomNumber(r, "")
		b := randomNumber(r, a)
		assertOrder(t, a, b, AppendNumber(nil, []byte(a)), AppendNumber(nil, []byte(b)), exact(t, a).Cmp(exact(t, b)), true)
	}
}

func TestNumbers(t *testing.T) {
	ascending := [][]string{
		{"-1e999999999999999999999", "-2e99999999999999"},
		{"-1e400", "-10e399"},
		{"-12"}, {"-1.5"}, {"-1.25"}, {"-1", "-1.0", "-10e-1", "-1E0"},
		{"-1e-400"}, {"-1e-99999999999999", "-3e-999999999999999999"},
		{"0", "-0", "0.00", "-0e5", "0e999999999999999999999"},
		{"1e-99999999999999", "3e-999999999999999999"}, {"1e-400"}, {"9e-65"}, {"1e-64"}, {"0.01", "1e-2"},
		{"1", "1.0", "1e0", "0.1e1", "0.0001e4", "1000e-3"},
		{"1." + strings.Repeat("0", 300) + "1"},
		{"1." + strings.Repeat("0", 299) + "1"},
		{"1.25"}, {"1.5"}, {"9"}, {"10", "1e1", "1E+1"}, {"11"}, {"1e63"}, {"1e64"}, {"1e65"},
		{"1e400", "1" + strings.Repeat("0", 400)},
		{"1e99999999999999", "7e999999999999999999999"},
	}
	for i, same := range ascending {
		for _, a := range same {
			for j, others := range ascending {
				for _, b := range others {
					assertOrder(t, a, b, AppendNumber(nil, []byte(a)), AppendNumber(nil, []byte(b)), sign(i-j), false)
				}
			}
		}
	}
}

// TestNumbersAreWhole: 200 digits are within the bound of whole values.
func TestNumbersAreWhole(t *testing.T) {
	assert.LessOrEqual(t, len(AppendNumber(nil, []byte("-"+strings.Repeat("9", 200)+"e-400"))), maxWhole)
}

// TestInstantOrder: bytes have the order of time.Time.
func TestInstantOrder(t *testing.T) {
	r := seeded(t)
	random := func() time.Time {
		at := time.Date(r.IntN(10_000), 1, 1, 0, 0, r.IntN(365*24*3600), 0, time.UTC)
		if r.IntN(2) == 0 {
			at = time.Date(2024, 2, 28+r.IntN(3), r.IntN(24), r.IntN(2), r.IntN(3), 0, time.UTC)
		}
		return at.Add(time.Duration(r.IntN(4)) * time.Duration([]int{1, 100, 1e6, 1e8}[r.IntN(4)]))
	}
	text := func(at time.Time) string {
		zone := time.FixedZone("", (r.IntN(48*60-1)-(24*60-1))*60)
		for {
			if year := at.In(zone).Year(); year >= 0 && year < 10_000 {
				break
			}
			zone = time.UTC
		}
		s := at.In(zone).Format("2006-01-02T15:04:05.999999999Z07:00")
		if r.IntN(3) == 0 {
			s = strings.ToLower(s)
		}
		return s
	}
	for range pairs {
		a, b := random(), random()
		if r.IntN(8) == 0 {
			b = a
		}
		x, y := text(a), text(b)
		assertOrder(t, x, y, AppendInstant(nil, []byte(x)), AppendInstant(nil, []byte(y)), a.Compare(b), true)
	}
}

func TestInstants(t *testing.T) {
	ascending := [][]string{
		{"0000-01-01T00:00:00+23:59"}, {"0000-01-01T00:00:00Z"},
		{"1969-12-31T23:59:59.9Z"}, {"1970-01-01T00:00:00Z", "1970-01-01t01:00:00.000+01:00", "1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00-00:00"},
		{"2016-12-31T23:59:59Z"}, {"2016-12-31T23:59:59." + strings.Repeat("9", 400) + "Z"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:59:60.0+01:00"}, {"2016-12-31T23:59:60.5Z"}, {"2017-01-01T00:00:00Z"},
		{"2017-01-01T00:00:00.1Z"}, {"2017-01-01T00:00:00.11Z", "2017-01-01T00:00:00.110Z"}, {"2017-01-01T00:00:00.12Z"},
		{"9999-12-31T23:59:59.999Z"}, {"9999-12-31T23:59:59-23:59"},
	}
	for i, same := range ascending {
		for _, a := range same {
			for j, others := range ascending {
				for _, b := range others {
					assertOrder(t, a, b, AppendInstant(nil, []byte(a)), AppendInstant(nil, []byte(b)), sign(i-j), false)
				}
			}
		}
	}
}

// TestStringOrder: whole strings have the order of their bytes, folded ones that of what
// unicode.ToLower makes of them.
func TestStringOrder(t *testing.T) {
	r := seeded(t)
	lower := func(s string) string { return strings.Map(unicode.ToLower, s) }
	letters := []rune("\x00aaAbÄäßẞſKİΣςσ日\uffff\U0010ffff\u00ff")
	random := func() string {
		runes := make([]rune, r.IntN([]int{3, 3, 20, 20, 20, 300}[r.IntN(6)]))
		for i := range runes {
			runes[i] = letters[r.IntN(len(letters))]
		}
		return string(runes)
	}
	for range pairs {
		a, b := random(), random()
		if r.IntN(2) == 0 {
			b = strings.ToValidUTF8(a[:min(r.IntN(300), len(a))], "") + b
		}
		assertOrder(t, a, b, AppendString(nil, []byte(a)), AppendString(nil, []byte(b)), strings.Compare(a, b), true)
		assertOrder(t, a, b, AppendLower(nil, []byte(a)), AppendLower(nil, []byte(b)), strings.Compare(lower(a), lower(b)), true)
	}
}

func TestLengths(t *testing.T) {
	var texts []string
	for _, n := range []int{0, 1, 237, 238, 239, 240, 254, 255, 256, 300} {
		for _, end := range []string{"", "a", "b", "\x7f", "é", "\U0010ffff"} {
			texts = append(texts, strings.Repeat("a", n)+end)
		}
	}
	for _, a := range texts {
		for _, b := range texts {
			assertOrder(t, a, b, AppendString(nil, []byte(a)), AppendString(nil, []byte(b)), strings.Compare(a, b), false)
		}
	}
}

func TestBooleans(t *testing.T) {
	assertOrder(t, "false", "true", AppendBool(nil, false), AppendBool(nil, true), -1, false)
	assertOrder(t, "true", "true", AppendBool(nil, true), AppendBool(nil, true), 0, false)
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1", "10e-1", "-1.25", "1e400", "-1e-400", "99999999999999999999.000000001", "1E+64"} {
		f.Add(seed, "1")
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, text := range []string{a, b} {
			var n big.Rat
			exponent := text[strings.LastIndexAny(text, "eE")+1:]
			if !json.Valid([]byte(text)) || strings.Trim(text, "-+.eE0123456789") != "" || len(exponent) > 4 && len(exponent) < len(text) {
				return
			}
			if _, ok := n.SetString(text); !ok {
				return
			}
		}
		assertOrder(t, a, b, AppendNumber(nil, []byte(a)), AppendNumber(nil, []byte(b)), exact(t, a).Cmp(exact(t, b)), false)
	})
}
