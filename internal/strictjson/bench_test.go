package strictjson

import (
	"fmt"
	"testing"

	"github.com/tidwall/gjson"
)

// BenchmarkParse compares the scan with gjson's validation over the same
// rotating customers, which checks less: neither UTF-8, nor names, nor depth.
func BenchmarkParse(b *testing.B) {
	docs := make([][]byte, 512)
	size := 0
	for i := range docs {
		docs[i] = fmt.Appendf(nil, `{"customerId":"cust-%06d","email":"user%d@example.com","phone":"+1555%07d","firstName":"First%d","lastName":"Last%d","emailOptOut":%v,"smsOptOut":%v,"customerDetailUrl":"https://crm.example.com/customers/%d?ref=%d","createdAt":"2024-01-%02dT10:%02d:00Z","note":"some more text to reach the size of a customer %d"}`,
			i, i*7919, i*104729%9999999, i, i*i, i%2 == 0, i%3 == 0, i, i*31, i%28+1, i%60, i)
		size += len(docs[i])
	}
	b.Run("strict", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(size / len(docs)))
		var d Doc
		for i := 0; b.Loop(); i++ {
			if err := d.Parse(docs[i%len(docs)], MaxDepth); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("known names", func(b *testing.B) {
		names := NewNames([]string{"customerId", "email", "phone", "firstName", "lastName", "emailOptOut", "smsOptOut", "customerDetailUrl", "createdAt", "note"}, nil)
		b.ReportAllocs()
		b.SetBytes(int64(size / len(docs)))
		var d Doc
		for i := 0; b.Loop(); i++ {
			if !d.quick(docs[i%len(docs)], MaxDepth, names) {
				b.Fatal("not quick")
			}
		}
	})
	b.Run("gjson.ValidBytes", func(b *testing.B) {
		b.SetBytes(int64(size / len(docs)))
		for i := 0; b.Loop(); i++ {
			if !gjson.ValidBytes(docs[i%len(docs)]) {
				b.Fatal("invalid")
			}
		}
	})
}
