package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStalledClients: 400 clients that ask for pages of records of 16 KB each and never
// read, or that send a body of 1 MiB each at once, leave the server below 512 MiB,
// and everybody else is answered with 200. How fast is logged: it is a matter of
// the machine.
func TestStalledClients(t *testing.T) {
	t.Parallel()
	const clients = 400
	get := "GET /api/resources/customers?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n"
	body := "POST /api/resources/customers HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" +
		`{"data":{"customerId":"large","firstName":"` + strings.Repeat("x", 1<<20-46-1) + `"}}`
	binary := build(t)
	for _, store := range []string{"memory", "sqlite"} {
		for name, request := range map[string]string{"answers": get, "bodies": body} {
			t.Run(store+"/"+name, func(t *testing.T) {
				t.Parallel()
				where := store
				if store == "sqlite" {
					where = "sqlite:" + filepath.Join(t.TempDir(), "customers.db")
				}
				server := startBinary(t, binary, "-store", where)
				post := func(id string, size int) {
					res, err := http.Post(server.url, "application/json", strings.NewReader(fmt.Sprintf(
						`{"data":{"customerId":"%s","firstName":"%s","lastName":"","createdAt":"2024-01-02T03:04:05Z"}}`, id, strings.Repeat("x", size))))
					require.NoError(t, err)
					defer res.Body.Close()
					_, _ = io.Copy(io.Discard, res.Body)
					require.Equal(t, 200, res.StatusCode)
				}
				for i := range 300 {
					post(fmt.Sprintf("c-%04d", i), 16<<10)
				}
				post("small", 10)
				host := strings.Split(server.url, "/")[2]
				for range clients {
					conn, err := net.Dial("tcp", host)
					require.NoError(t, err)
					t.Cleanup(func() { conn.Close() })
					require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
					go func() { _, _ = io.WriteString(conn, request) }()
				}
				var times []time.Duration
				for range 300 {
					start := time.Now()
					res, err := http.Get(server.url + "/small")
					require.NoError(t, err)
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					require.NoError(t, err)
					require.Equal(t, 200, res.StatusCode)
					times = append(times, time.Since(start))
					time.Sleep(10 * time.Millisecond)
				}
				slices.Sort(times)
				mib := server.peak(t)
				t.Logf("p50 %v, p99 %v, %d MiB at most", times[len(times)/2], times[len(times)*99/100], mib)
				assert.Less(t, mib, 512, "MiB of memory at most")
			})
		}
	}
}

// peak returns how much memory the process had at most, in MiB.
func (p process) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	require.NoError(t, err)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, found)
	kib, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return kib >> 10
}
