package resource_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestManyMembersBelowALongName: pointers to many members below a long name would
// take memory that grows with the square of the request, in the write itself or
// in what explains it.
func TestManyMembersBelowALongName(t *testing.T) {
	s := schema.MustCompile(schema.Definition{
		ID: uuid.MustParse("0b8f3c1e-9a57-4a0e-8f55-0d8f2f0c7c11"), Name: "open", ExternalID: "id",
		Fields: []schema.Field{
			{Name: "id", Type: schema.String, Required: true},
			{Name: "flag", Type: schema.Boolean, Default: true},
			{Name: "open", Type: schema.Object},
		},
	})
	const members = 4000
	request := func(flag, value string) []byte {
		var b strings.Builder
		fmt.Fprintf(&b, `{"id":"1","flag":%s,"open":{"%s":{`, flag, strings.Repeat("n", 10*members))
		for i := range members {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"%d":%s`, i, value)
		}
		return []byte(b.String() + "}}}")
	}
	c := open(t, s, memory.New(), nil)
	for _, tt := range []struct {
		name    string
		request []byte
	}{
		{"insert", request("true", "1")},
		{"change", request("true", "2")},
		{"no-op with a default", request("null", "2")},
		{"delete with a default", request("null", "null")},
		{"insert objects", request("true", "{}")},
		{"change beside equal objects", request("false", "{}")},
		{"change in objects", request("false", `{"a":1}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			res, err := c.Create(ctx, tenant, tt.request, &resource.WriteOptions{})
			require.NoError(t, err)
			_, _ = res.Changed(), res.Removed()
			runtime.ReadMemStats(&after)
			// Where every pool is empty, as any may be under -race, a request takes some 110
			// times its size; all pointers spelled out take 2,000 times.
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(400*len(tt.request)), "bytes allocated for a request of %d", len(tt.request))
		})
	}
}
