package httpapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"example.com/resourcekit/resource/httpapi"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGrowth: what HTTP reads costs memory and allocations in proportion to its
// size, whatever part of a request it is that doubles.
func TestGrowth(t *testing.T) {
	each := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, tc := range []struct {
		name    string
		size    int // of the smaller one
		request func(n int) message
		status  int
	}{
		{"headers", 2000, func(n int) message { return get("g-1", "X: y"+each(n, "\r\nX-%d: y")) }, 200},
		{"lines of one header", 2000, func(n int) message { return get("g-1", "X: y"+strings.Repeat("\r\nX: y", n)) }, 200},
		{"parameters of a media type", 1000, func(n int) message {
			return post("", customer("g-1", ""), "Content-Type: application/json"+each(n, "; p%d=x"))
		}, 200},
		{"continued parameters", 1000, func(n int) message {
			return post("", customer("g-1", ""), "Content-Type: application/json"+each(n, "; p*%d=x"))
		}, 200},
		{"ignored parameters", 2000, func(n int) message { return post("?x"+each(n, "&p%d=x"), customer("g-1", "")) }, 200},
		{"values of an ignored parameter", 2000, func(n int) message { return post("?x"+strings.Repeat("&x", n), customer("g-1", "")) }, 200},
		{"near misses", 2000, func(n int) message { return post("?x"+strings.Repeat("&Onconflict", n), customer("g-1", "")) }, 400},
		{"different near misses", 1000, func(n int) message { return post("?x"+each(n, "&onconflic%d=x"), customer("g-1", "")) }, 400},
		{"unknown parameters", 2000, func(n int) message { return list("?x" + each(n, "&p%d=x")) }, 400},
		{"a long parameter", 100_000, func(n int) message { return list("?" + strings.Repeat("x", n)) }, 400},
		{"a parameter in capitals", 100_000, func(n int) message { return post("?"+strings.Repeat("X", n), customer("g-1", "")) }, 200},
		{"filters", 50, func(n int) message { return list("?filter[email]=x" + strings.Repeat("&filter[email]=x", n-1)) }, 200},
		{"unknown filters", 50, func(n int) message { return list("?x=y" + each(n, "&filter[emai%d]=x")) }, 400},
		{"too many filters", 2000, func(n int) message { return list("?filter[email]=x" + strings.Repeat("&filter[email]=x", n)) }, 400},
		{"values with a blank", 50, func(n int) message { return list("?limit=1" + strings.Repeat("&filter[createdAt]=+", n)) }, 400},
		{"a long value", 100_000, func(n int) message { return list("?filter[email]=" + strings.Repeat("x", n)) }, 200},
		{"a long value of blanks", 100_000, func(n int) message { return list("?filter[createdAt]=" + strings.Repeat("+", n)) }, 400},
		{"a name of dots", 50_000, func(n int) message { return list("?filter[" + strings.Repeat(".x", n) + "]=x") }, 400},
		{"a deep pointer", 50_000, func(n int) message { return list("?filter[" + strings.Repeat("/x", n) + "]=x") }, 400},
		{"a long cursor", 100_000, func(n int) message { return list("?cursor=" + strings.Repeat("A", n)) }, 400},
		{"tags of If-Match", 50, func(n int) message { return get("g-1", "If-Match: "+each(n, `"x%d",`)) }, 412},
		{"weak tags of If-None-Match", 50, func(n int) message { return get("g-1", "If-None-Match: "+each(n, `W/"x%d",`)) }, 200},
		{"tags of If-Match that are not ours", 50, func(n int) message { return get("g-1", "If-Match: "+each(n, `"X%d",`)) }, 412},
		{"too many tags", 2000, func(n int) message { return get("g-1", "If-Match: "+each(n, `"%d",`)) }, 400},
		{"commas of If-Match", 50_000, func(n int) message { return get("g-1", "If-Match: "+strings.Repeat(",", n)) }, 412},
		{"a long tag", 50_000, func(n int) message { return get("g-1", `If-Match: "`+strings.Repeat("1", n)+`"`) }, 412},
		{"a long tag of two parts", 50_000, func(n int) message { return get("g-1", `If-Match: "1-`+strings.Repeat("ab", n)+`"`) }, 412},
		{"an id", 50_000, func(n int) message { return get(strings.Repeat("x", n)) }, 404},
		{"an escaped id", 50_000, func(n int) message { return get(strings.Repeat("%2F", n)) }, 404},
		{"an id in a parameter", 50_000, func(n int) message { return get("-?externalId=" + strings.Repeat("x", n)) }, 404},
		{"segments of a path", 50_000, func(n int) message { return get(strings.Repeat("x/", n)) }, 404},
		{"dropped fields", 2000, func(n int) message {
			return post("?ignoreUnknownFields=true", customer("g-1", each(n, `,"unknown%d":1`)))
		}, 200},
		{"members beside data", 2000, func(n int) message {
			return post("", customer("g-1", "")[:len(customer("g-1", ""))-1]+each(n, `,"m%d":1`)+"}")
		}, 200},
		{"escaped names beside data", 2000, func(n int) message {
			return post("", customer("g-1", "")[:len(customer("g-1", ""))-1]+each(n, `,"\u006d%d":1`)+"}")
		}, 200},
		{"members inside data that is not JSON", 2000, func(n int) message {
			return post("", customer("g-1", each(n, `,"m%d":1`)+`,"x":01`))
		}, 400},
		{"brackets in a row", 50_000, func(n int) message { return post("", `{"data":`+strings.Repeat("[", n)) }, 400},
		{"quotes in a row", 50_000, func(n int) message { return post("", `{"data":`+strings.Repeat(`"`, n)) }, 400},
		{"commas in a row", 50_000, func(n int) message { return post("", `{"data":{}`+strings.Repeat(",", n)) }, 400},
		{"a body without a length", 100_000, func(n int) message {
			m := post("", customer("g-1", `,"email":"`+strings.Repeat("x", n)+`"`))
			m.chunked = true
			return m
		}, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newService(t, nil)
			s.put(t, acme, `{"customerId":"g-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}`)
			cost := func(n int, enough uint64) (allocated, allocations uint64) {
				m := tc.request(n)
				a := s.direct(t, m)
				require.Equal(t, tc.status, a.status, "%.300s", a.body)
				return s.leastOf(t, m, enough)
			}
			small, allocations := cost(tc.size, math.MaxUint64)
			limit := 5*small/2 + 32<<10
			large, allocations2 := cost(2*tc.size, limit)
			t.Logf("%d and %d bytes, %d and %d allocations", small, large, allocations, allocations2)
			assert.LessOrEqual(t, large, limit)
			assert.Less(t, allocations2, 5*allocations/2+100)
		})
	}
}

// leastOf returns what the handler allocates at least for a message. The race detector
// empties pools at random, so it tries again while that is more than enough.
func (s *service) leastOf(t *testing.T, m message, enough uint64) (allocated, allocations uint64) {
	t.Helper()
	allocated, allocations = math.MaxUint64, math.MaxUint64
	for try := 0; try < 5 || try < 50 && allocated > enough; try++ {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.bytes())))
		require.NoError(t, err)
		w := httptest.NewRecorder()
		w.Body = nil
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.handler.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		allocated = min(allocated, after.TotalAlloc-before.TotalAlloc)
		allocations = min(allocations, after.Mallocs-before.Mallocs)
	}
	return allocated, allocations
}

// TestGrowthOfPages: a page costs the store as many records as it has, and the
// answer memory in proportion to them.
func TestGrowthOfPages(t *testing.T) {
	s := newService(t, &httpapi.Options{AllowScans: true})
	for i := range 1000 {
		s.put(t, acme, fmt.Sprintf(`{"customerId":"%04d","firstName":"Ada","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`, i))
	}
	filter := strings.Repeat("&filter[lastName]="+url.QueryEscape(""), 50)
	for _, more := range []string{"", filter, filter + filter} {
		cost := func(n int, enough uint64) uint64 {
			m := list("?limit=" + strconv.Itoa(n) + more)
			require.Len(t, parseList(t, s.direct(t, m)).Data.Results, n)
			allocated, _ := s.leastOf(t, m, enough)
			return allocated
		}
		small := cost(500, math.MaxUint64)
		large := cost(1000, 5*small/2)
		t.Logf("%d and %d bytes", small, large)
		assert.LessOrEqual(t, large, 5*small/2)
	}
}
