package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestPlain: where there is no terminal, there is a line now and then, of
// printable characters.
func TestPlain(t *testing.T) {
	var out bytes.Buffer
	p := &plain{w: &out, size: 400, every: time.Hour, last: time.Now()}
	p.show(10, 50)
	assert.Empty(t, out.String(), "not yet")
	p.last = time.Now().Add(-2 * time.Hour)
	p.show(20, 100)
	p.show(30, 150)
	p.line("line 7: wrong")
	p.size, p.last = 0, time.Time{}
	p.show(40, 200)
	p.close()
	assert.Equal(t, "20 documents done, 25% of the file\nline 7: wrong\n40 documents done\n", out.String())
}

// TestBar: lines that are printed while there is a bar have a line of their own.
func TestBar(t *testing.T) {
	for _, size := range []int64{0, 400} {
		var out bytes.Buffer
		b := newBar(&out, size)
		b.show(10, 100)
		b.line("line 7: wrong")
		b.show(1234, 400)
		b.close()
		assert.Contains(t, out.String(), "\r\x1b[Kline 7: wrong\n")
		last := out.String()[strings.LastIndex(strings.TrimSuffix(out.String(), "\n"), "\r")+1:]
		assert.True(t, strings.HasPrefix(last, "1234 documents "), "%q", last)
		assert.True(t, strings.HasSuffix(last, "\n"), "%q", last)
		assert.Equal(t, size > 0, strings.Contains(last, "100.00%"), "%q", last)
	}
}
