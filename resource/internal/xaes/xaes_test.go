package xaes_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"example.com/resourcekit/resource/internal/xaes"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVectors: those of the specification, one for each value of the highest bit that the
// subkey is made of.
func TestVectors(t *testing.T) {
	for _, tt := range []struct {
		key          byte
		data, sealed string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		aead, err := xaes.New(bytes.Repeat([]byte{tt.key}, 32))
		require.NoError(t, err)
		sealed, err := hex.DecodeString(tt.sealed)
		require.NoError(t, err)
		text, err := aead.Open(nil, nil, append([]byte("ABCDEFGHIJKLMNOPQRSTUVWX"), sealed...), []byte(tt.data))
		require.NoError(t, err)
		assert.Equal(t, "XAES-256-GCM", string(text))
	}
}

func TestSeal(t *testing.T) {
	aead, err := xaes.New(bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	seen := map[string]bool{}
	for n := range 100 {
		text := strings.Repeat("x", n)
		sealed := aead.Seal([]byte("head"), nil, []byte(text), []byte("data"))
		require.Len(t, sealed, len("head")+n+aead.Overhead())
		require.False(t, seen[string(sealed[4:28])], "the nonce comes again")
		seen[string(sealed[4:28])] = true
		opened, err := aead.Open(nil, nil, sealed[4:], []byte("data"))
		require.NoError(t, err)
		require.Equal(t, text, string(opened))
		_, err = aead.Open(nil, nil, sealed[4:], []byte("other"))
		require.Error(t, err)
		sealed[4+n%24] ^= 1 // of the nonce
		_, err = aead.Open(nil, nil, sealed[4:], []byte("data"))
		require.Error(t, err)
		_, err = aead.Open(nil, nil, make([]byte, n), nil)
		require.Error(t, err)
	}
	_, err = xaes.New(make([]byte, 31))
	require.Error(t, err)
}

func BenchmarkSeal(b *testing.B) {
	aead, err := xaes.New(make([]byte, 32))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		aead.Seal(nil, nil, make([]byte, 16), make([]byte, 33))
	}
}
