package resource

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"time"

	"example.com/resourcekit/resource/internal/system"
	"example.com/resourcekit/storage"
)

// sealKeySize is the length of Options.CursorKey, in bytes: that of AES-256.
const sealKeySize = 32

// sealOverhead is how many bytes a sealed text has more: a nonce of 12 and a tag of 16.
const sealOverhead = 12 + 16

// seal returns the cipher of cursors that hold a value or a place in the log: AES-256-GCM
// with random nonces. Without Options.CursorKey the key is a record of the store, which
// the first process makes.
func (c *Collection) seal(ctx context.Context) (cipher.AEAD, error) {
	if sealer := c.sealer.Load(); sealer != nil {
		return *sealer, nil
	}
	rec, err := storage.Update(ctx, c.store, system.StoreKey("cursor-key"), func(old storage.Record) (storage.Record, error) {
		if old.Revision != 0 {
			return old, storage.ErrNoChange
		}
		key := make([]byte, sealKeySize)
		_, _ = rand.Read(key) // never fails
		now := time.Now()
		return storage.Record{ID: system.ID, CreatedAt: now, UpdatedAt: now, Data: key}, nil
	})
	if err != nil {
		return nil, elsewhere("cannot read the key of cursors", err)
	}
	sealer, err := newSealer(rec.Data)
	if err != nil {
		return nil, err
	}
	c.sealer.Store(&sealer)
	return sealer, nil
}

func newSealer(key []byte) (cipher.AEAD, error) {
	if len(key) != sealKeySize {
		return nil, errors.New("expected a key of 32 bytes for cursors")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
