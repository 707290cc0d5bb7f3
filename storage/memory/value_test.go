package memory

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlaceOrder: places are in the order of the bytes of their values, and then of their
// ids, whether or not the head of a value decides.
func TestPlaceOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func() place {
		value := bytes.Repeat([]byte{1}, random.IntN(2*headSize+3))
		for i := range value { // mostly alike, so that the end of one decides
			if random.IntN(len(value)) == 0 {
				value[i] = byte(random.IntN(3))
			}
		}
		return newPlace(value, &entry{id: string(rune('a' + random.IntN(2)))})
	}
	for range 100_000 {
		a, b := some(), some()
		want := cmp.Or(bytes.Compare(a.value, b.value), cmp.Compare(a.id(), b.id()))
		require.Equal(t, want < 0, less(a, b), "%v %v", a, b)
		require.Equal(t, want > 0, less(b, a), "%v %v", a, b)
	}
	bound := newPlace([]byte("a"), nil)
	require.True(t, less(bound, newPlace([]byte("a"), &entry{id: "a"})))
}
