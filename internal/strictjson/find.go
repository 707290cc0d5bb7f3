package strictjson

import "math/bits"

// Find returns the place of the value of the last member of this name in src, an
// object; 0, 0 if there is none. It skips values and does not judge them, so the
// answer is right for strict JSON, and some place in any other text.
//
// alone is true if src is certainly strict JSON as soon as the value is: there is
// nothing else in the object. name must need no escape.
func Find(src []byte, name string) (start, end int, alone bool) {
	i := skipBlanks(src, 0)
	if i == len(src) || src[i] != '{' {
		return 0, 0, false
	}
	for members := 1; ; members++ { // src[i] is the brace or a comma
		from := skipBlanks(src, i+1)
		i = skipValue(src, from)
		key := src[from:i]
		if i = skipBlanks(src, i); i == len(src) || src[i] != ':' {
			return start, end, false
		}
		at := skipBlanks(src, i+1)
		i = skipValue(src, at)
		if isName(key, name) {
			start, end = at, i
		}
		if i = skipBlanks(src, i); i == len(src) || src[i] != ',' {
			alone = members == 1 && start < end && len(key) == len(name)+2 && // without an escape
				i < len(src) && src[i] == '}' && skipBlanks(src, i+1) == len(src)
			return start, end, alone
		}
	}
}

// isName reports whether a quoted name has this value.
func isName(quoted []byte, name string) bool {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return false
	}
	inside := quoted[1 : len(quoted)-1]
	if string(inside) == name {
		return true
	}
	if len(inside) > 6*len(name) { // \u0061 is the longest form
		return false
	}
	end, state := scanString(quoted, 1)
	return end == len(quoted)-1 && state == escaped && sameDecoded(inside, []byte(name))
}

// skipValue returns the offset after the value that begins at src[i]: after the
// bracket that closes it, or before the comma, brace, bracket, colon or blank that
// ends it.
func skipValue(src []byte, i int) int {
	level := 0
	for i < len(src) {
		switch b := src[i]; {
		case b == '"':
			if i = skipString(src, i+1); level == 0 {
				return i
			}
			continue
		case b == '{' || b == '[':
			level++
		case b == '}' || b == ']':
			if level--; level <= 0 {
				if level == 0 {
					i++
				}
				return i
			}
		case level == 0 && (b == ',' || b == ':' || isBlank(b)):
			return i
		}
		i++
	}
	return i
}

// skipString returns the offset after the quote that ends the string.
func skipString(src []byte, i int) int {
	for i < len(src) {
		if i+8 <= len(src) {
			m := special(load(src, i))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch src[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
		i++
	}
	return len(src)
}

func skipBlanks(src []byte, i int) int {
	for i < len(src) && isBlank(src[i]) {
		i++
	}
	return i
}
