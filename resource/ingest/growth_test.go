package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/internal/growth"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"

	"github.com/stretchr/testify/assert"
)

// TestGrowth: the work of an import grows with its input alone.
func TestGrowth(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	importAll := func(text string, opts *ingest.Options) func() {
		return func() {
			c, _ := customers(t)
			_, err := ingest.Import(ctx, c, tenant, ingest.NDJSON(strings.NewReader(text), 0), opts)
			must(err)
		}
	}
	ofOne := func(n int) string {
		docs := make([]string, n)
		for i := range docs {
			docs[i] = customer("a", fmt.Sprintf(`,"email":"%d"`, i))
		}
		return strings.Join(docs, "\n")
	}
	readCSV := func(text string) func() {
		return func() {
			table, err := ingest.NewCSV(strings.NewReader(text), things, &ingest.CSVOptions{UnknownFields: schema.IgnoreUnknown})
			must(err)
			for _, err := range table.Documents() {
				must(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		n       int
		prepare func(n int) func()
	}{
		"documents":                {200, func(n int) func() { return importAll(strings.Join(numbered(n), "\n"), nil) }},
		"documents, small batches": {200, func(n int) func() { return importAll(strings.Join(numbered(n), "\n"), &ingest.Options{BatchSize: 10}) }},
		"documents of one id":      {200, func(n int) func() { return importAll(ofOne(n), nil) }},
		"documents that fail":      {200, func(n int) func() { return importAll(strings.Repeat("x\n", n), &ingest.Options{MaxErrors: n}) }},
		"dry run, documents": {200, func(n int) func() {
			return importAll(strings.Join(numbered(n), "\n"), &ingest.Options{Create: dryRun, BatchSize: 10})
		}},
		"dry run, documents of one id": {200, func(n int) func() { return importAll(ofOne(n), &ingest.Options{Create: dryRun, BatchSize: 10}) }},
		"CSV, rows":                    {500, func(n int) func() { return readCSV("id,on\n" + strings.Repeat("a,true\n", n)) }},
		"CSV, columns":                 {500, func(n int) func() { return readCSV("id" + strings.Repeat(",x", n) + "\na" + strings.Repeat(",y", n)) }},
		"CSV, lines in a cell":         {500, func(n int) func() { return readCSV("id\n\"" + strings.Repeat("a\n", n) + "\"") }},
	} {
		t.Run(name, func(t *testing.T) {
			factor := growth.Factor(tt.n, tt.prepare)
			t.Logf("%.1f", factor)
			assert.LessOrEqual(t, factor, float64(growth.Limit))
		})
	}
}
