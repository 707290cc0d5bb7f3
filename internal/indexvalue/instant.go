package indexvalue

import "time"

// leap follows the seconds of 23:59:59 in a leap second: it is greater than any pair of
// digits.
const leap = 101

// beforeAll is a number of seconds that makes those of every date-time positive.
const beforeAll = 1 << 40

// AppendInstant appends a valid date-time (RFC 3339, section 5.6) as its instant: 12:00Z
// and 13:00+01:00 are equal. A fraction may have any number of digits. Second 60 comes
// after second 59 and before the next minute.
func AppendInstant(dst, text []byte) []byte {
	two := func(i int) int { return int(text[i]-'0')*10 + int(text[i+1]-'0') }
	end, offset := len(text)-1, 0 // in minutes
	if text[end]|0x20 != 'z' {
		end -= 5
		offset = two(end+1)*60 + two(end+4)
		if text[end] == '-' {
			offset = -offset
		}
	}
	second := two(17)
	day := time.Date(two(0)*100+two(2), time.Month(two(5)), two(8), two(11), two(14)-offset, min(second, 59), 0, time.UTC)
	at := day.Unix() + beforeAll
	dst = append(dst, 1, byte(at>>40), byte(at>>32), byte(at>>24), byte(at>>16), byte(at>>8), byte(at))
	if second == 60 {
		dst = append(dst, leap)
	}
	return appendDigits(dst, text[19:end])
}
