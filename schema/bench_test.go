package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// benchDocs returns 512 different customers of about 350 bytes: a repeated one
// flatters the branch predictor.
func benchDocs() [][]byte {
	firsts := []string{"Ada", "Grace", "Katherine", "Jean", "Margaret", "Annie", "Bo"}
	lasts := []string{"Lovelace", "Hopper", "Johnson", "Bartik", "Hamilton", "Easley", "Li"}
	docs := make([][]byte, 512)
	for i := range docs {
		first, last := firsts[i%7], lasts[i/7%7]
		docs[i] = fmt.Appendf(nil, `{"customerId":"cust-%d","email":"%s.%s%d@example.com","phone":"+1555%07d",`+
			`"firstName":"%s","lastName":"%s","emailOptOut":%t,"smsOptOut":%t,`+
			`"customerDetailUrl":"https://crm.example.com/accounts/%d/customers/%d?%s","createdAt":"20%02d-%02d-%02dT%02d:30:0%d.%03dZ"}`,
			i*7919, strings.ToLower(first), strings.ToLower(last), i, i*104729%10000000, first, last, i%3 == 0, i%2 == 0,
			i, i*31, strings.Repeat("q=1&", i%12+4), i%25, i%12+1, i%28+1, i%24, i%10, i%1000)
	}
	return docs
}

func benchPatches() [][]byte {
	docs := make([][]byte, 512)
	for i := range docs {
		docs[i] = fmt.Appendf(nil, `{"customerId":"cust-%d","email":"new.address%d@example.org","smsOptOut":%t,"phone":null}`, i*7919, i, i%2 == 0)
	}
	return docs
}

func bench(b *testing.B, docs [][]byte, fn func(doc []byte)) {
	size := 0
	for _, d := range docs {
		size += len(d)
	}
	b.SetBytes(int64(size / len(docs)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		fn(docs[i&511])
		i++
	}
}

// The yardstick: a syntax check of the same documents, which judges less.
func BenchmarkGJSONValid(b *testing.B) {
	bench(b, benchDocs(), func(doc []byte) { gjson.ValidBytes(doc) })
}

func BenchmarkGJSONValidPatch(b *testing.B) {
	bench(b, benchPatches(), func(doc []byte) { gjson.ValidBytes(doc) })
}

func BenchmarkValidate(b *testing.B) {
	s := Customers()
	bench(b, benchDocs(), func(doc []byte) {
		if err := s.Validate(doc); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	s := Customers()
	bench(b, benchDocs(), func(doc []byte) {
		r, err := s.Read(doc, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	})
}

func BenchmarkReadPatch(b *testing.B) {
	s := Customers()
	bench(b, benchPatches(), func(doc []byte) {
		r, err := s.Read(doc, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	})
}

// Apply of an update: the stored document holds the defaults already.
func BenchmarkApply(b *testing.B) {
	r, err := Customers().Read(benchPatches()[0], nil)
	if err != nil {
		b.Fatal(err)
	}
	bench(b, benchDocs(), func(doc []byte) {
		if _, err := r.Apply(doc); err != nil {
			b.Fatal(err)
		}
	})
}

// Apply of an update that moves one of two entries: of email, and of createdAt.
func BenchmarkApplyEntries(b *testing.B) {
	r, err := indexedCustomers().Read(benchPatches()[0], nil)
	if err != nil {
		b.Fatal(err)
	}
	bench(b, benchDocs(), func(doc []byte) {
		if _, err := r.Apply(doc); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkAppendEntries(b *testing.B) {
	s, entries := indexedCustomers(), []Entry(nil)
	bench(b, benchDocs(), func(doc []byte) {
		var err error
		if entries, err = s.AppendEntries(entries[:0], doc); err != nil {
			b.Fatal(err)
		}
	})
}

// indexedCustomers is Customers with an index of email and of createdAt.
func indexedCustomers() *Schema {
	def := Customers().Definition()
	for i := range def.Fields {
		switch f := &def.Fields[i]; f.Name {
		case "email":
			f.Index, f.Unique, f.Fold = 1, true, "lower"
		case "createdAt":
			f.Index = 2
		}
	}
	return MustCompile(def)
}

// Apply of an insert that leaves both defaults to the schema.
func BenchmarkApplyFill(b *testing.B) {
	docs := benchDocs()
	for i, d := range docs {
		from, to := strings.Index(string(d), `"emailOptOut"`), strings.Index(string(d), `"customerDetailUrl"`)
		docs[i] = append(d[:from:from], d[to:]...)
	}
	bench(b, docs, func(doc []byte) {
		r, err := Customers().Read(doc, nil)
		if err == nil {
			_, err = r.Apply(nil)
		}
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	})
}

func BenchmarkShow(b *testing.B) {
	s := Customers()
	bench(b, benchDocs(), func(doc []byte) {
		if _, err := s.Show(doc, nil); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkDateTime(b *testing.B) {
	bench(b, benchDocs(), func(doc []byte) {
		if !isDateTime(doc[len(doc)-26 : len(doc)-2]) {
			b.Fatal(string(doc[len(doc)-26 : len(doc)-2]))
		}
	})
}

// A hostile body: 1 MiB of unknown members.
func BenchmarkHostile(b *testing.B) {
	doc := hostile(1 << 20)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if Customers().Validate(doc) == nil {
			b.Fatal("no error")
		}
	}
}

func hostile(size int) []byte {
	doc := []byte{'{'}
	for i := 0; len(doc) < size; i++ {
		doc = fmt.Appendf(doc, `"%x":0,`, i)
	}
	doc[len(doc)-1] = '}'
	return doc
}
