// Package seal is XChaCha20-Poly1305 with random nonces. A nonce has 24 bytes, so one key is
// good for more texts than can be made. AES-GCM with random nonces is for 2^32, which streams
// with a cursor in each event can take in a day.
package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of a key, and Overhead is how much longer a sealed text is, with
// its nonce and its tag; both in bytes.
const (
	KeySize  = chacha20poly1305.KeySize
	Overhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
)

// A Sealer encrypts and authenticates texts. It is safe for concurrent use.
type Sealer struct{ aead cipher.AEAD }

// New returns the sealer of a key. The error is for one that is not KeySize bytes.
func New(key []byte) (*Sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, errors.New("expected a key of 32 bytes")
	}
	return &Sealer{aead}, nil
}

// Seal appends the sealed text to dst. data is authenticated with it, and is not in it.
func (s *Sealer) Seal(dst, text, data []byte) []byte {
	var nonce [chacha20poly1305.NonceSizeX]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return s.aead.Seal(append(dst, nonce[:]...), nonce[:], text, data)
}

// Open returns the text that Seal has sealed, or an error.
func (s *Sealer) Open(sealed, data []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, errors.New("the sealed text is too short")
	}
	return s.aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], data)
}
