// Package xaes is XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM under a key that is
// derived from the first half of a nonce of 24 bytes. With random nonces one key is good for
// 2^80 texts. One of AES-256-GCM alone is for 2^32, which streams with a cursor in each event
// can take in a day.
package xaes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
)

// KeySize is the length of a key, and Overhead is how much longer a sealed text is, with
// its nonce and its tag; both in bytes.
const (
	KeySize  = 32
	Overhead = half + 12 + 16

	half = 12 // of the nonce
)

type aead struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // the subkey of CMAC (RFC 4493, section 2.3)
}

// New returns the cipher with random nonces, which are at the beginning of sealed texts:
// NonceSize is 0. The error is for a key that is not 32 bytes.
func New(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, errors.New("expected a key of 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a := &aead{block: block}
	block.Encrypt(a.k1[:], a.k1[:])
	high := byte(0)
	for i := len(a.k1) - 1; i >= 0; i-- {
		high, a.k1[i] = a.k1[i]>>7, a.k1[i]<<1|high
	}
	a.k1[len(a.k1)-1] ^= high * 0x87
	return a, nil
}

// derive returns AES-256-GCM with random nonces, which are the second halves.
func (a *aead) derive(nonce []byte) cipher.AEAD {
	var key [KeySize]byte
	for i, part := range [][]byte{key[:aes.BlockSize], key[aes.BlockSize:]} {
		copy(part, []byte{0, byte(i + 1), 'X', 0})
		copy(part[4:], nonce)
		subtle.XORBytes(part, part, a.k1[:])
		a.block.Encrypt(part, part)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the cipher is that of crypto/aes
	}
	return gcm
}

func (a *aead) NonceSize() int { return 0 }

func (a *aead) Overhead() int { return Overhead }

// Seal implements cipher.AEAD. The spare bytes of dst must not overlap with plaintext.
func (a *aead) Seal(dst, nonce, plaintext, data []byte) []byte {
	first := make([]byte, half)
	_, _ = rand.Read(first) // never fails
	return a.derive(first).Seal(append(dst, first...), nonce, plaintext, data)
}

// Open implements cipher.AEAD.
func (a *aead) Open(dst, nonce, sealed, data []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, errors.New("the sealed text is too short")
	}
	return a.derive(sealed[:half]).Open(dst, nonce, sealed[half:], data)
}
