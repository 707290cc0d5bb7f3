package schema

import (
	"bytes"
	"strings"

	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/internal/strictjson"
)

// A format is one that Field.Format can name.
type format struct {
	is   func(text []byte) bool
	want string          // the message
	of   strictjson.Kind // the kind of values that have it
}

var formats = map[string]*format{
	dateTime:   {isDateTime, "expected a date-time (RFC 3339), such as 2006-01-02T15:04:05Z", strictjson.String},
	"date":     {isDate, "expected a date (RFC 3339), such as 2006-01-02", strictjson.String},
	"duration": {isDuration, "expected a duration (ISO 8601), such as P1DT12H", strictjson.String},
	"uuid":     {isUUID, "expected a UUID, such as 0191e4a0-0000-7000-8000-000000000001", strictjson.String},
	"uri":      {isURI, "expected an absolute URI (RFC 3986), such as https://example.com/path", strictjson.String},
	"email":    {isEmail, "expected an e-mail address, such as ada@example.com", strictjson.String},
	"hostname": {isHostname, "expected a host name, such as www.example.com", strictjson.String},
	"ipv4":     {isIPv4, "expected an IPv4 address, such as 192.0.2.1", strictjson.String},
	"ipv6":     {isIPv6, "expected an IPv6 address, such as 2001:db8::1", strictjson.String},
	"byte":     {isBase64, "expected base64 (RFC 4648, section 4), with its padding", strictjson.String},
	"e164":     {isE164, "expected a telephone number (E.164), such as +15550100", strictjson.String},
	"int32":    {within("-2147483648", "2147483647"), "expected an integer of 32 bits: -2147483648 to 2147483647", strictjson.Number},
	"int64":    {within("-9223372036854775808", "9223372036854775807"), "expected an integer of 64 bits: -9223372036854775808 to 9223372036854775807", strictjson.Number},
}

// within returns a function that reports whether a number is from low to high.
func within(low, high string) func([]byte) bool {
	from, to := indexvalue.AppendNumber(nil, []byte(low)), indexvalue.AppendNumber(nil, []byte(high))
	return func(text []byte) bool {
		var buf [64]byte
		value := indexvalue.AppendNumber(buf[:0], text)
		return bytes.Compare(from, value) <= 0 && bytes.Compare(value, to) <= 0
	}
}

// isDuration judges by the grammar of RFC 3339, appendix A: weeks alone, or years to
// seconds without a gap.
func isDuration(s []byte) bool {
	if len(s) < 3 || s[0] != 'P' {
		return false
	}
	if s[len(s)-1] == 'W' {
		return leadingDigits(s[1:]) == len(s)-2
	}
	days, times, hasTimes := bytes.Cut(s[1:], []byte{'T'})
	return (len(days) > 0 || hasTimes) && isRun(days, "YMD", true) && (!hasTimes || isRun(times, "HMS", false))
}

// isRun reports whether s is numbers, each before one of the units, which come in their
// order and without a gap.
func isRun(s []byte, units string, mayBeEmpty bool) bool {
	last := -1
	for len(s) > 0 {
		n := leadingDigits(s)
		if n == 0 || n == len(s) {
			return false
		}
		unit := strings.IndexByte(units, s[n])
		if unit < 0 || last >= 0 && unit != last+1 {
			return false
		}
		last, s = unit, s[n+1:]
	}
	return last >= 0 || mayBeEmpty
}

func leadingDigits(s []byte) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isHex(b byte) bool { return isDigit(b) || (b|0x20)-'a' < 6 }

func isLetter(b byte) bool { return (b|0x20)-'a' < 26 }

func isUUID(s []byte) bool {
	if len(s) != 36 {
		return false
	}
	for i, b := range s {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (b == '-') || !dash && !isHex(b) {
			return false
		}
	}
	return true
}

// isURI judges by the grammar of RFC 3986, appendix A.
func isURI(s []byte) bool {
	colon := bytes.IndexByte(s, ':')
	if colon < 1 || !isLetter(s[0]) {
		return false
	}
	for _, b := range s[:colon] {
		if !isLetter(b) && !isDigit(b) && b != '+' && b != '-' && b != '.' {
			return false
		}
	}
	rest := s[colon+1:]
	rest, fragment, _ := bytes.Cut(rest, []byte{'#'})
	rest, query, _ := bytes.Cut(rest, []byte{'?'})
	if authority, ok := bytes.CutPrefix(rest, []byte("//")); ok {
		end := bytes.IndexByte(authority, '/')
		if end < 0 {
			end = len(authority)
		}
		authority, rest = authority[:end], authority[end:]
		if !isAuthority(authority) {
			return false
		}
	}
	return isURIText(rest, ":@/") && isURIText(query, ":@/?") && isURIText(fragment, ":@/?")
}

// isAuthority judges the authority of a URI: user information, host and port.
func isAuthority(s []byte) bool {
	if at := bytes.LastIndexByte(s, '@'); at >= 0 {
		if !isURIText(s[:at], ":") {
			return false
		}
		s = s[at+1:]
	}
	if len(s) > 0 && s[0] == '[' {
		end := bytes.IndexByte(s, ']')
		if end < 0 || !isIPv6(s[1:end]) && !isIPvFuture(s[1:end]) {
			return false
		}
		s = s[end+1:]
		return len(s) == 0 || s[0] == ':' && leadingDigits(s[1:]) == len(s)-1
	}
	host, port, _ := bytes.Cut(s, []byte{':'})
	return isURIText(host, "") && leadingDigits(port) == len(port)
}

func isIPvFuture(s []byte) bool {
	dot := bytes.IndexByte(s, '.')
	if dot < 2 || s[0]|0x20 != 'v' || dot == len(s)-1 || bytes.IndexByte(s, '%') >= 0 {
		return false
	}
	for _, b := range s[1:dot] {
		if !isHex(b) {
			return false
		}
	}
	return isURIText(s[dot+1:], ":")
}

// isURIText reports whether s is unreserved characters, sub-delims, escapes and others
// of also (RFC 3986, section 2).
func isURIText(s []byte, also string) bool {
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case isLetter(b) || isDigit(b) || strings.IndexByte("-._~!$&'()*+,;=", b) >= 0 || strings.IndexByte(also, b) >= 0:
		case b == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}

// isEmail judges by RFC 5321, section 4.1.2: Dot-string, '@', and a domain or an address
// literal; with its limits of 64 and 255 bytes (section 4.5.3.1).
func isEmail(s []byte) bool {
	at := bytes.LastIndexByte(s, '@')
	if at < 1 || at > 64 {
		return false
	}
	dot := true // before the first character
	for _, b := range s[:at] {
		switch {
		case isLetter(b) || isDigit(b) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", b) >= 0:
			dot = false
		case b == '.' && !dot:
			dot = true
		default:
			return false
		}
	}
	if dot {
		return false
	}
	domain := s[at+1:]
	if n := len(domain); n > 2 && domain[0] == '[' && domain[n-1] == ']' {
		address, six := bytes.CutPrefix(domain[1:n-1], []byte("IPv6:"))
		return six && isIPv6(address) || isIPv4(address)
	}
	return isHostname(domain)
}

// isHostname judges by RFC 1123, section 2.1: labels of 1 to 63 letters, digits and
// hyphens, which neither begin nor end with a hyphen.
func isHostname(s []byte) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	label := 0
	for i, b := range s {
		switch {
		case isLetter(b) || isDigit(b) || b == '-' && label > 0:
			label++
		case b == '.' && label > 0 && s[i-1] != '-':
			label = 0
		default:
			return false
		}
		if label > 63 {
			return false
		}
	}
	return label > 0 && s[len(s)-1] != '-'
}

func isIPv4(s []byte) bool {
	for part := range 4 {
		n := min(leadingDigits(s), 4)
		if n == 0 || n > 3 || n > 1 && s[0] == '0' || n == 3 && string(s[:3]) > "255" {
			return false
		}
		s = s[n:]
		if part == 3 {
			return len(s) == 0
		}
		if len(s) == 0 || s[0] != '.' {
			return false
		}
		s = s[1:]
	}
	return false // not reached
}

// isIPv6 judges by RFC 4291, section 2.2: eight groups, or fewer and one "::"; the last
// two may be written as an IPv4 address.
func isIPv6(s []byte) bool {
	groups, short := 0, false
	if bytes.HasPrefix(s, []byte("::")) {
		short, s = true, s[2:]
	}
	for len(s) > 0 {
		n := 0
		for n < len(s) && isHex(s[n]) {
			n++
		}
		if n < len(s) && s[n] == '.' {
			groups += 2
			return isIPv4(s) && groups <= 8 && short == (groups < 8)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		if s = s[n:]; len(s) == 0 {
			break
		}
		if s[0] != ':' || len(s) == 1 {
			return false
		}
		if s = s[1:]; s[0] == ':' {
			if short {
				return false
			}
			short, s = true, s[1:]
		}
	}
	return groups <= 8 && short == (groups < 8)
}

func isBase64(s []byte) bool {
	if len(s)%4 != 0 {
		return false
	}
	body := s
	for range 2 {
		body = bytes.TrimSuffix(body, []byte{'='})
	}
	for _, b := range body {
		if !isLetter(b) && !isDigit(b) && b != '+' && b != '/' {
			return false
		}
	}
	return true
}

func isE164(s []byte) bool {
	return len(s) >= 3 && len(s) <= 16 && s[0] == '+' && s[1] != '0' && leadingDigits(s[1:]) == len(s)-1
}
