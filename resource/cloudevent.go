package resource

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/storage"
)

// AppendCloudEvent appends the change to dst as an event of CloudEvents 1.0 in its JSON
// format, whose media type is application/cloudevents+json:
//
//   - id: the ID and the revision, "UUID-REVISION", with "-erased" at the end if the
//     outcome is Erased. Source and id together are unique: a receiver finds repeats.
//   - source: as given, such as "https://api.example.com/" or "/shop"
//   - type: typePrefix, the name of the schema, if it is known, with a dot, and the
//     outcome: "com.example." makes "com.example.customers.created"
//   - subject: the ID of the resource, which is no personal data: routers log attributes
//   - time: that of the change; left out if it is zero
//   - datacontenttype: application/json
//   - data: the change, as from [Change.AppendJSON]
//
// The error is [storage.ErrInvalid], and dst is returned as it was, for a source that is
// empty or is not a URI reference (RFC 3986), and for a typePrefix that is not UTF-8 or
// has control characters or noncharacters, which no attribute may have.
func (c *Change) AppendCloudEvent(dst []byte, source, typePrefix string) ([]byte, error) {
	if !isURIReference(source) {
		return dst, fmt.Errorf("%w: the source of an event is not a URI reference", storage.ErrInvalid)
	}
	if !isAttribute(typePrefix) {
		return dst, fmt.Errorf("%w: the type of an event would have characters that it must not have", storage.ErrInvalid)
	}
	dst = append(dst, `{"specversion":"1.0","id":"`...)
	dst = appendUUID(dst, &c.ID)
	dst = strconv.AppendUint(append(dst, '-'), uint64(c.Revision), 10)
	if c.Outcome == Erased {
		dst = append(dst, "-erased"...)
	}
	dst = strictjson.AppendQuoted(append(dst, `","source":`...), source)
	kind := typePrefix + string(c.Outcome)
	if c.Schema != "" {
		kind = typePrefix + c.Schema + "." + string(c.Outcome)
	}
	dst = strictjson.AppendQuoted(append(dst, `,"type":`...), kind)
	dst = appendUUID(append(dst, `,"subject":"`...), &c.ID)
	dst = append(dst, '"')
	if !c.Time.IsZero() {
		dst = append(appendTime(append(dst, `,"time":"`...), &c.Time), '"')
	}
	dst = append(dst, `,"datacontenttype":"application/json","data":`...)
	return append(c.AppendJSON(dst), '}'), nil
}

// isURIReference reports whether s is a URI reference (RFC 3986, section 4.1) and not
// empty. Package net/url takes more characters.
func isURIReference(s string) bool {
	isHex := func(i int) bool { return i < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0 }
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		case b == '%' && isHex(i+1) && isHex(i+2):
		case b == '%' || strings.IndexByte("-._~:/?#[]@!$&'()*+,;=", b) < 0:
			return false
		}
	}
	_, err := url.Parse(s)
	return s != "" && err == nil && strings.Count(s, "#") <= 1
}

// isAttribute reports whether s has only characters that attributes of events may have.
func isAttribute(s string) bool {
	isBad := func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Noncharacter_Code_Point, r)
	}
	return utf8.ValidString(s) && strings.IndexFunc(s, isBad) < 0
}
