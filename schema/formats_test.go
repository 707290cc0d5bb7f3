package schema

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"example.com/resourcekit/internal/strictjson"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
)

var formatTests = map[string]struct{ yes, no []string }{
	"date": {[]string{"2024-02-29", "0000-01-01"}, []string{"", "2023-02-29", "2024-2-29", "2024-02-29T00:00:00Z", "2024-13-01", "２０２４-02-29"}},
	"duration": {
		[]string{"P1Y", "P1Y2M3D", "P2M3D", "PT1H", "PT1H2M3S", "PT2M3S", "PT36H", "P1DT12H", "P3W", "P1YT1S", "P0D"},
		[]string{"", "P", "PT", "P1", "1D", "P1DT", "P1Y3D", "PT1H3S", "P1W2D", "P3D2M", "P1.5D", "p1d", "PT1D", "P1H", "P-1D", "P1D ", "PW"}},
	"uuid": {
		[]string{"0191e4a0-0000-7000-8000-000000000001", "2EB8AA08-AA98-11EA-B4AA-73B441D16380", "00000000-0000-0000-0000-000000000000"},
		[]string{"", "0191e4a0000070008000000000000001", "{0191e4a0-0000-7000-8000-000000000001}", "0191e4a0-0000-7000-8000-00000000000g", "0191e4a-00000-7000-8000-000000000001", "0191e4a0-0000-7000-8000-0000000000001"}},
	"uri": {
		[]string{"http://foo.bar/?baz=qux#quux", "http://foo.com/blah_(wikipedia)_blah#cite-1", "http://-.~_!$&'()*+,;=:%40:80%2f::::::@example.com", "http://223.255.255.254", "ftp://ftp.is.co.za/rfc/rfc1808.txt",
			"ldap://[2001:db8::7]/c=GB?objectClass?one", "mailto:John.Doe@example.com", "tel:+1-816-555-1212", "urn:oasis:names:specification:docbook:dtd:xml:4.1.2", "file:///etc/passwd", "a:", "http://[v7.a:b]:80/", "http://h:/"},
		[]string{"", "//foo.bar/", "/abc", `\\WINDOWS\share`, "abc", "http:// shouldfail.com", ":// should fail", "bar,baz:foo", "https://[@example.org/test.txt", `https://example.org/foobar\.txt`, "https://example.org/foobar<>.txt",
			"https://example.org/foobar{}.txt", "https://example.org/foobar^.txt", "https://example.org/foobar`.txt", "https://example.org/foo bar.txt", "http://example.org/%zz", "http://example.org/%4", "1a:b", "http://é.example", "http://a:b/", "http://[::1", "http://[::1]a/", "a:#b#c"}},
	"email": {
		[]string{"joe.bloggs@example.com", "te~st@example.com", "~test@example.com", "joe.bloggs@[127.0.0.1]", "joe.bloggs@[IPv6:::1]", "a@b", strings.Repeat("a", 64) + "@example.com"},
		[]string{"", "2962", ".test@example.com", "test.@example.com", "te..st@example.com", "joe.bloggs@invalid=domain.com", "joe.bloggs@[127.0.0.300]", "a b@example.com", "@example.com", "a@", "a@b@c", "a@-b.com", "a@b..c", "é@example.com", strings.Repeat("a", 65) + "@example.com"}},
	"hostname": {
		[]string{"www.example.com", "xn--4gbwdl.xn--wgbh1c", "h0stn4me", "1host", "hostn4m3", "a", strings.Repeat("a", 63) + ".com"},
		[]string{"", ".", ".example", "example.", "-a-host-name-that-starts-with--", "not_a_valid_host_name", "a-.b", "a..b", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 126) + "aa", "ü.de"}},
	"ipv4": {
		[]string{"192.168.0.1", "0.0.0.0", "255.255.255.255", "87.10.0.1"},
		[]string{"", "127.0.0.0.1", "256.256.256.256", "127.0", "0x7f000001", "2130706433", "087.10.0.1", "1.2.3.4/24", "1.2.3.", " 1.2.3.4", "1.2.3.0000", "1২7.0.0.1"}},
	"ipv6": {
		[]string{"::1", "::", "::abef", "::42:ff:1", "d6::", "1:d6::42", "1::d6:192.168.0.1", "1:2::192.168.0.1", "::ffff:192.168.0.1", "1:2:3:4:5:6:7:8", "1000:1000:1000:1000:1000:1000:255.255.255.255", "1:2:3:4:5:6:7::"},
		[]string{"", "12345::", "1:1:1:1:1:1:1:1:1", "::laptop", ":2:3:4:5:6:7:8", "1:2:3:4:5:6:7:", ":2:3:4::8", "1::d6::42", "1::2:192.168.256.1", "1::2:192.168.ff.1", "::ffff:192.168.0.1:2", "1:2:3:4:5:::8", "1:2:3:4:5:6:7", "1", "127.0.0.1", "1:2:3:4:1.2.3", "fe80::/64", "fe80::a%eth1", "1:2:3:4:5:6:7:8::", ":::"}},
	"byte":  {[]string{"", "YQ==", "YWI=", "YWJj", "+/+/"}, []string{"YQ", "YQ=", "YQ===", "Y===", "====", "YW=j", "Y-_j", "YWJj\n", "YWJj YWJj"}},
	"e164":  {[]string{"+15550100", "+123456789012345", "+12"}, []string{"", "15550100", "+05550100", "+1234567890123456", "+1", "+1 555", "+1-555", "+١٢"}},
	"int32": {[]string{"0", "-2147483648", "2147483647", "2147483647.0", "0e999", "1e9"}, []string{"2147483648", "-2147483649", "1e10", "1e999999999"}},
	"int64": {[]string{"-9223372036854775808", "9223372036854775807"}, []string{"9223372036854775808", "-9223372036854775809", "1" + strings.Repeat("0", 30)}},
}

func TestFormats(t *testing.T) {
	for name, tt := range formatTests {
		for _, text := range tt.yes {
			assert.True(t, formats[name].is([]byte(text)), "%s %q", name, text)
		}
		for _, text := range tt.no {
			assert.False(t, formats[name].is([]byte(text)), "%s %q", name, text)
		}
	}
	for name, f := range formats {
		assert.True(t, name == dateTime || len(formatTests[name].no) > 0, name)
		for _, text := range formatTests[name].yes {
			value := []byte(text)
			assert.Zero(t, testing.AllocsPerRun(10, func() { f.is(value) }), name)
		}
	}
}

// FuzzFormats compares formats with the readers of the standard library and others.
func FuzzFormats(f *testing.F) {
	for _, tt := range formatTests {
		for _, text := range append(tt.yes, tt.no...) {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		is := make(map[string]bool)
		for name, format := range formats {
			is[name] = format.of == strictjson.String && format.is([]byte(text))
		}
		addr, err := netip.ParseAddr(text)
		assert.Equal(t, err == nil && addr.Is4(), is["ipv4"], "ipv4 %q", text)
		assert.Equal(t, err == nil && addr.Is6() && addr.Zone() == "", is["ipv6"], "ipv6 %q", text)
		_, err = uuid.Parse(text)
		assert.Equal(t, err == nil && len(text) == 36, is["uuid"], "uuid %q", text)
		_, err = base64.StdEncoding.DecodeString(text)
		assert.Equal(t, err == nil && !strings.ContainsAny(text, "\r\n"), is["byte"], "byte %q", text)
		assert.Equal(t, dateTimeOracle(text+"T00:00:00Z"), is["date"], "date %q", text)
		if is["uri"] {
			u, err := url.Parse(text)
			assert.True(t, err != nil || u.Scheme != "", "uri %q", text)
		}
		if is["hostname"] && strings.Contains(text, ".") {
			assert.True(t, is["email"] == false && formats["email"].is([]byte("a@"+text)), "email %q", text)
		}
	})
}
