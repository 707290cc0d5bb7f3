package strictjson

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// The hash is seeded once for the process, so that clients cannot choose names that
// collide.
var seed0, seed1 = rand.Uint64(), rand.Uint64() | 1

// lowBytes[n] keeps the first n bytes, in memory order, of a word.
var lowBytes = [9]uint64{
	0, 0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF, 0xFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF,
}

// mix folds two words and a length into 32 bits.
func mix(a, b uint64, size int) uint32 {
	hi, lo := bits.Mul64(a^seed0, b^seed1+uint64(size))
	h := hi ^ lo
	return uint32(h ^ h>>32)
}

// HashName returns the hash that Parse gives a member with this decoded name. It is
// another one in each process.
func HashName(name string) uint32 { return hashName([]byte(name)) }

func hashName(name []byte) uint32 {
	size := len(name)
	if size <= 16 {
		var word [16]byte
		copy(word[:], name)
		return mix(binary.LittleEndian.Uint64(word[:]), binary.LittleEndian.Uint64(word[8:]), size)
	}
	// Whole words first, then the last eight bytes, which may overlap them.
	var h uint64
	for rest := name; len(rest) > 8; rest = rest[8:] {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(rest)^seed0, seed1)
		h = hi ^ lo
	}
	return mix(h, binary.LittleEndian.Uint64(name[size-8:]), size)
}
