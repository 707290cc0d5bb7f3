package seal_test

import (
	"bytes"
	"strings"
	"testing"

	"example.com/resourcekit/resource/internal/seal"

	"github.com/stretchr/testify/require"
)

func TestSeal(t *testing.T) {
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.KeySize))
	require.NoError(t, err)
	other, err := seal.New(bytes.Repeat([]byte{2}, seal.KeySize))
	require.NoError(t, err)
	seen := map[string]bool{}
	for n := range 100 {
		text := strings.Repeat("x", n)
		sealed := sealer.Seal([]byte("head"), []byte(text), []byte("data"))
		require.True(t, strings.HasPrefix(string(sealed), "head"))
		sealed = sealed[len("head"):]
		require.Len(t, sealed, n+seal.Overhead)
		require.False(t, seen[string(sealed[:24])], "the nonce comes again")
		seen[string(sealed[:24])] = true
		opened, err := sealer.Open(sealed, []byte("data"))
		require.NoError(t, err)
		require.Equal(t, text, string(opened))
		_, err = sealer.Open(sealed, []byte("other"))
		require.Error(t, err)
		_, err = other.Open(sealed, []byte("data"))
		require.Error(t, err)
		sealed[n%len(sealed)] ^= 1
		_, err = sealer.Open(sealed, []byte("data"))
		require.Error(t, err)
		_, err = sealer.Open(make([]byte, n), nil)
		require.Error(t, err)
	}
	_, err = seal.New(make([]byte, seal.KeySize-1))
	require.Error(t, err)
}

func BenchmarkSeal(b *testing.B) {
	sealer, err := seal.New(make([]byte, seal.KeySize))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		sealer.Seal(nil, make([]byte, 16), make([]byte, 33))
	}
}
