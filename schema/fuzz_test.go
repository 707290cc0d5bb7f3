package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// FuzzApply checks the promises of Read and Apply for any input.
func FuzzApply(f *testing.F) {
	for _, tt := range checkTests {
		f.Add([]byte(tt.stored), []byte(tt.request), uint8(0))
		f.Add([]byte(tt.stored), []byte(tt.request), uint8(3))
	}
	s := withIndexes(nested(f))
	f.Fuzz(func(t *testing.T, stored, request []byte, policies uint8) {
		opts := &ReadOptions{UnknownFields: UnknownFields(policies & 1), Nulls: Nulls(policies >> 1 % 3), RequireComplete: policies&8 != 0}
		before := bytes.Clone(request)
		err := s.Validate(request)
		defer func() { require.Equal(t, before, request, "input changed") }()

		var syn *SyntaxError
		if errors.As(err, &syn) {
			require.True(t, syn.Offset >= 0 && syn.Offset <= len(request))
			return
		}
		// Validate is Apply on an insert.
		_, insert := write(s, "", string(request), nil)
		require.Equal(t, err, insert)

		r, err := s.Read(request, opts)
		if err != nil {
			return // not an object
		}
		defer r.Close()
		if shown, err := s.Show(stored, nil); err == nil {
			again, err := s.Show(shown, nil)
			require.NoError(t, err)
			require.Equal(t, string(shown), string(again))
		} else {
			stored = nil
		}
		doc, err := r.Apply(stored)
		if err != nil {
			lines(t, err)
			return
		}
		patch := patchOf(&r)
		decode(t, patch)
		merged := rfc7396(string(stored), patch)
		again, err := r.Apply(stored)
		require.NoError(t, err)
		require.Equal(t, doc, again)
		require.Equal(t, len(stored) == 0 || !reflect.DeepEqual(decode(t, string(stored)), decode(t, merged)), doc.Changed)
		if !doc.Changed {
			require.Equal(t, string(stored), string(doc.Stored))
			merged = string(stored)
		}
		shown, err := s.Show(doc.Stored, nil)
		require.NoError(t, err)
		require.Equal(t, string(doc.Shown), string(shown))
		if opts.UnknownFields == RejectUnknown {
			require.Empty(t, doc.Dropped)
		}
		entries, err := s.AppendEntries(nil, doc.Stored)
		require.NoError(t, err)
		require.Equal(t, entries, doc.Entries)
		if len(stored) > 0 {
			entries, err = s.AppendEntries(nil, stored)
			require.NoError(t, err)
			require.Equal(t, entries, doc.Before)
		}
		// What is stored is the merged document and the defaults.
		want := merged
		if !gjson.Get(want, "live").Exists() {
			want = rfc7396(want, `{"live":true}`)
		}
		if a := gjson.Get(want, "address"); a.IsObject() && !a.Get("country").Exists() {
			want = rfc7396(want, `{"address":{"country":"US"}}`)
		}
		gjson.Get(want, "sites").ForEach(func(name, site gjson.Result) bool {
			if gjson.Get(want, "sites").IsObject() && site.IsObject() && name.Str != "home" && !site.Get("open").Exists() {
				want = rfc7396(want, `{"sites":{`+name.Raw+`:{"open":true}}}`)
			}
			return true
		})
		if doc.Changed {
			require.Equal(t, decode(t, want), decode(t, string(doc.Stored)))
		}
		// What passed once passes again, over itself, under the strictest policy
		// for unknown fields; unless a null on an unknown field is left in it.
		if opts.UnknownFields == IgnoreUnknown && opts.Nulls != DeleteNulls {
			_, err = write(s, string(stored), patch, &ReadOptions{Nulls: opts.Nulls, RequireComplete: opts.RequireComplete})
			require.NoError(t, err)
		}
		if len(stored) == 0 {
			require.NoError(t, s.Validate(doc.Shown))
			id, ok := r.ExternalID()
			require.True(t, ok)
			require.Equal(t, gjson.GetBytes(doc.Stored, "id").String(), id)
		}
	})
}

// FuzzRatchet checks what judging an update promises, with a schema of all keywords.
func FuzzRatchet(f *testing.F) {
	def := sized(f).Definition()
	for _, tt := range fieldTests {
		if field := tt.field; tt.want != "" && field.Type != "" {
			field.Name = "f" + strings.ReplaceAll(tt.name, "/", "-")
			def.Fields = append(def.Fields, field)
			f.Add([]byte(`{"id":"1"}`), []byte(`{"`+field.Name+`":`+tt.value+`}`), uint8(0))
			f.Add([]byte(`{"id":"1","`+field.Name+`":`+tt.value+`}`), []byte(`{"a":"x"}`), uint8(1))
		}
	}
	s := MustCompile(def)
	for _, members := range []string{
		`"map":{"a":1,"b":2}`, `"map":{"c":1}`, `"map":{"a":null}`, `"closed":{"a":"x","d":"y"}`, `"closed":{"b":"x","d":null}`, `"list":[1,2,3]`, `"set":["a","a"]`, `"set":[1,"1"]`,
		`"one":{"a":"x"}`, `"one":{"b":"x"}`, `"one":{"b":"x","a":null}`, `"each":[{"a":"x"},{}]`, `"sites":{"s":{"a":"x"}}`, `"sites":{"s":{"b":"x"}}`, `"a":"x"`, `"c":"x"`, `"a":null,"c":"x","set":[]`,
		`"rows":[{"x":1},{"x":2}]`, `"open":{"a":{"b":null}}`, `"map":[1],"list":{},"one":5,"a":{}`,
	} {
		for _, other := range []string{`"map":{"a":1}`, `"one":{"a":"x","b":"y"}`, `"sites":{"s":{"a":"x","b":"x"}}`, `"a":"x","closed":{}`} {
			f.Add([]byte(`{"id":"1",`+other+`}`), []byte(`{`+members+`}`), uint8(0))
			f.Add([]byte(`{"id":"1",`+members+`}`), []byte(`{`+other+`}`), uint8(2))
		}
	}
	f.Fuzz(func(t *testing.T, stored, request []byte, policies uint8) {
		if s.Validate(request) == nil {
			doc, err := write(s, "", string(request), nil)
			require.NoError(t, err)
			require.NoError(t, s.Validate(doc.Stored), "what an insert stores is valid")
		}
		shown, err := s.Show(stored, nil)
		if err != nil || bytes.Contains(stored, []byte("null")) { // which a merge removes
			return
		}
		// A client that sends back what it reads changes nothing, whatever is stored; unless
		// something in it was hidden.
		if bytes.Equal(shown, stored) {
			again, err := write(s, string(stored), string(shown), &ReadOptions{UnknownFields: IgnoreUnknown})
			if external := gjson.GetBytes(stored, "id"); external.Type == gjson.String && external.Str != "" {
				require.NoError(t, err)
				require.Empty(t, again.Dropped)
			}
		}
		opts := &ReadOptions{UnknownFields: UnknownFields(policies & 1), Nulls: Nulls(policies >> 1 % 3)}
		doc, err := write(s, string(stored), string(request), opts)
		valid := s.Validate(stored) == nil
		if err == nil && valid {
			require.NoError(t, s.Validate(doc.Stored), "a valid document stays valid: %s %s", stored, request)
		}
		var invalid *ValidationError
		if !errors.As(err, &invalid) || !valid || policies%6 != 0 {
			return
		}
		// The other way round: what is refused would have made the document invalid, or has
		// unknown fields.
		if merged := rfc7396(string(stored), string(request)); s.Validate([]byte(merged)) == nil {
			for _, v := range invalid.Violations {
				require.Contains(t, []string{codeUnknownField, codeRequired}, v.Code, "%v", v)
			}
		}
	})
}

// decode is what another reader makes of a text: numbers as written.
func decode(t *testing.T, text string) (v any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	return v
}

// dateTimeOracle reports the same as isDateTime, by other means.
func dateTimeOracle(text string) bool {
	m := dateTimePattern.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	if _, err := time.Parse("2006-01-02", m[1]); err != nil {
		return false
	}
	zone := m[5]
	if zone == "z" || zone == "Z" {
		zone = "+00:00"
	}
	second := m[3]
	if second == "60" {
		second = "59"
	}
	at, err := time.Parse("2006-01-02T15:04:05-07:00", m[1]+"T"+m[2]+":"+second+zone)
	if err != nil {
		return false
	}
	return m[3] != "60" || at.UTC().Format("15:04:05") == "23:59:59"
}

var dateTimePattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-5][0-9]):([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$`)

func FuzzDateTime(f *testing.F) {
	for _, tt := range dateTimeTests {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if isDateTime([]byte(text)) != dateTimeOracle(text) {
			t.Errorf("isDateTime(%q) = %v", text, isDateTime([]byte(text)))
		}
	})
}
