package schema

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/tidwall/gjson"
)

var dateTimeTests = []struct {
	text string
	want bool
}{
	// As in the JSON Schema Test Suite, optional/format/date-time.
	{"1963-06-19T08:30:06.283185Z", true},
	{"1963-06-19T08:30:06Z", true},
	{"1937-01-01T12:00:27.87+00:20", true},
	{"1990-12-31T15:59:50.123-08:00", true},
	{"1998-12-31T23:59:60Z", true},
	{"1998-12-31T15:59:60.123-08:00", true},
	{"1998-12-31T23:59:61Z", false},
	{"1998-12-31T23:58:60Z", false},
	{"1998-12-31T22:59:60Z", false},
	{"1990-02-31T15:59:59.123-08:00", false},
	{"1990-12-31T15:59:59-24:00", false},
	{"1963-06-19T08:30:06.28123+01:00Z", false},
	{"06/19/1963 08:30:06 PST", false},
	{"1963-06-19t08:30:06.283185z", true},
	{"2013-350T01:01:01", false},
	{"1963-6-19T08:30:06.283185Z", false},
	{"1963-06-1T08:30:06.283185Z", false},
	{"1963-06-1\u09eaT00:00:00Z", false},
	{"1963-06-11T0\u09ea:00:00Z", false},
	// Ours.
	{"", false},
	{"2024-02-29T00:00:00Z", true},
	{"2023-02-29T00:00:00Z", false},
	{"1900-02-29T00:00:00Z", false},
	{"2000-02-29T00:00:00Z", true},
	{"0000-02-29T00:00:00Z", true},
	{"2024-04-31T00:00:00Z", false},
	{"2024-13-01T00:00:00Z", false},
	{"2024-00-01T00:00:00Z", false},
	{"2024-01-00T00:00:00Z", false},
	{"2024-01-01T24:00:00Z", false},
	{"2024-01-01T23:60:00Z", false},
	{"2024-01-01T00:00:00", false},
	{"2024-01-01T00:00:00.Z", false},
	{"2024-01-01T00:00:00.5", false},
	{"2024-01-01T00:00:00,5Z", false},
	{"2024-01-01T00:00:00.123456789012345678901234567890Z", true},
	{"2024-01-01 00:00:00Z", false},
	{" 2024-01-01T00:00:00Z", false},
	{"2024-01-01T00:00:00Z ", false},
	{"2024-01-01T00:00:00+23:59", true},
	{"2024-01-01T00:00:00+24:00", false},
	{"2024-01-01T00:00:00+00:60", false},
	{"2024-01-01T00:00:00-00:00", true},
	{"2024-01-01T00:00:00+0000", false},
	{"2024-01-01T00:00:00+00", false},
	{"2024-01-01T00:00:00+1:00", false},
	{"2024-01-01T00:00:00*00:00", false},
	{"2024-01-01T00:00:00+00:00:00", false},
	{"2024-01-01T00:59:60+01:00", true},
	{"2024-01-01T00:29:60+00:30", true},
	{"2024-01-01T00:59:60Z", false},
	{"-024-01-01T00:00:00Z", false},
	{"02024-01-01T00:00:00Z", false},
	{"2024-01-01T00:00:0/Z", false},
	{"2024-01-01T00:00:0:Z", false},
}

func TestDateTime(t *testing.T) {
	for _, tt := range dateTimeTests {
		assert.Equal(t, tt.want, isDateTime([]byte(tt.text)), tt.text)
		assert.Equal(t, tt.want, dateTimeOracle(tt.text), "oracle: %s", tt.text)
	}
}

// Every day of four centuries, and the days that are none.
func TestDateTimeCalendar(t *testing.T) {
	for year := 1796; year <= 2204; year++ {
		for month := range 14 {
			for _, day := range []int{0, 1, 28, 29, 30, 31, 32} {
				text := fmt.Sprintf("%04d-%02d-%02dT00:00:00Z", year, month, day)
				_, err := time.Parse(time.RFC3339, text)
				if isDateTime([]byte(text)) != (err == nil) {
					t.Fatal(text, err)
				}
			}
		}
	}
}

var integralTests = []struct {
	text string
	want bool
}{
	{"0", true}, {"-0", true}, {"1", true}, {"-12", true}, {"1.0", true}, {"1.5", false}, {"-0.0", true}, {"0.10", false},
	{"1e3", true}, {"1E+3", true}, {"1e-1", false}, {"10e-1", true}, {"100e-3", false}, {"1000e-3", true}, {"1.50e1", true},
	{"1.55e1", false}, {"1.55e2", true}, {"0e-999999999999999999999", true}, {"0.000e-1", true}, {"1e999999999", true},
	{"1e-999999999", false}, {"1e99999999999999999999999999", true}, {"1e-99999999999999999999999999", false},
	{"1e-0", true}, {"1e00000", true}, {"10.0e-1", true}, {"12.0e-1", false}, {"120.00e-01", true}, {"9007199254740993.5", false},
	{"0.001e3", true}, {"0.001e2", false}, {"1" + strings.Repeat("0", 1_000_000) + "e-1000000", true},
	{"1" + strings.Repeat("0", 1_000_000) + "e-1000001", false}, {"0." + strings.Repeat("0", 1_000_000) + "1e1000001", true},
	{"1." + strings.Repeat("9", 1_000_000), false}, {"1." + strings.Repeat("0", 1_000_000), true},
}

func TestIntegral(t *testing.T) {
	for _, tt := range integralTests {
		if got := isIntegral([]byte(tt.text)); got != tt.want {
			t.Errorf("isIntegral(%.40s) = %v", tt.text, got)
		}
	}
}

func FuzzIntegral(f *testing.F) {
	for _, tt := range integralTests {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 30 || !gjson.Valid(text) || gjson.Parse(text).Type != gjson.Number {
			return
		}
		text = strings.TrimSpace(text)
		if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 5 {
			return // too large for big.Rat
		}
		r, ok := new(big.Rat).SetString(text)
		if ok && r.IsInt() != isIntegral([]byte(text)) {
			t.Errorf("isIntegral(%s) = %v", text, !r.IsInt())
		}
	})
}

func TestIsVisible(t *testing.T) {
	for _, s := range []string{
		"", " ", "\t\r\n", "\u00a0", "\u2003\u3000", "\u200b", "\u200d\ufeff", "\u2028\u2029\u0085", "\x01\x7f", "\u00ad", "\u202e", "\ue000", "\uffff", "\U000e0020",
	} {
		assert.False(t, isVisible([]byte(s)), "%q", s)
	}
	for _, s := range []string{"x", ".", " x", "\u200bx\u200b", "é", "\u0301", "日", "😀", "\ufffd", "\u00a0\u0660"} {
		assert.True(t, isVisible([]byte(s)), "%q", s)
	}
}
