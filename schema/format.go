package schema

import (
	"unicode"
	"unicode/utf8"
)

// dateTime is the format whose values are compared as instants.
const dateTime = "date-time"

// isDateTime reports whether s is a date-time of RFC 3339, section 5.6, that is in the
// calendar. T and Z may be in lower case (section 5.6, NOTE). Second 60 is valid only at
// 23:59:60 UTC, where leap seconds are (section 5.7).
func isDateTime(s []byte) bool {
	// 0123456789012345678 9
	// 2006-01-02T15:04:05 Z
	if len(s) < 20 || !isDate(s[:10]) || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return false
	}
	hour, ok1 := twoDigits(s[11], s[12])
	minute, ok2 := twoDigits(s[14], s[15])
	second, ok3 := twoDigits(s[17], s[18])
	if !(ok1 && ok2 && ok3) || hour > 23 || minute > 59 || second > 60 {
		return false
	}
	i := 19
	if s[i] == '.' {
		first := i + 1
		for i = first; i < len(s) && isDigit(s[i]); i++ {
		}
		if i == first || i == len(s) {
			return false
		}
	}
	offset := 0
	switch s[i] {
	case 'Z', 'z':
		if i+1 != len(s) {
			return false
		}
	case '+', '-':
		if i+6 != len(s) || s[i+3] != ':' {
			return false
		}
		h, ok1 := twoDigits(s[i+1], s[i+2])
		m, ok2 := twoDigits(s[i+4], s[i+5])
		if !ok1 || !ok2 || h > 23 || m > 59 {
			return false
		}
		offset = h*60 + m
		if s[i] == '-' {
			offset = -offset
		}
	default:
		return false
	}
	if second == 60 {
		const day = 24 * 60
		return (hour*60+minute-offset+day)%day == day-1
	}
	return true
}

// isDate reports whether s is a full-date of RFC 3339, section 5.6, that is in the
// calendar.
func isDate(s []byte) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	century, ok1 := twoDigits(s[0], s[1])
	year, ok2 := twoDigits(s[2], s[3])
	month, ok3 := twoDigits(s[5], s[6])
	day, ok4 := twoDigits(s[8], s[9])
	return ok1 && ok2 && ok3 && ok4 && day >= 1 && day <= daysIn(century*100+year, month)
}

// daysIn returns the number of days of a month of the Gregorian calendar, or 0 for a
// month that does not exist.
func daysIn(year, month int) int {
	switch month {
	case 1, 3, 5, 7, 8, 10, 12:
		return 31
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 0
}

func twoDigits(a, b byte) (int, bool) {
	return int(a-'0')*10 + int(b-'0'), isDigit(a) && isDigit(b)
}

func isDigit(b byte) bool { return b-'0' <= 9 }

// isIntegral reports whether the value of a JSON number is an integer. It judges the
// text: linear in its length, and exact for every exponent.
func isIntegral(text []byte) bool {
	i := 0
	for i < len(text) && (isDigit(text[i]) || text[i] == '-') {
		i++
	}
	if i == len(text) {
		return true
	}
	return one.divides(text)
}

var one = factor{digits: 1}

// isVisible reports whether s has a character outside the Unicode categories Z and C:
// one that is not a blank, a control, an invisible sign or an unassigned code point. (It
// does not use unicode.C, which lacks the unassigned ones.)
func isVisible(s []byte) bool {
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		if unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) {
			return true
		}
		s = s[size:]
	}
	return false
}
