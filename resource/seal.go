package resource

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"example.com/resourcekit/resource/internal/seal"
	"example.com/resourcekit/resource/internal/system"
	"example.com/resourcekit/storage"
)

// seal returns the sealer of cursors that hold a value or a place in the log. Without
// Options.CursorKey the key is a record of the store, which the first process makes.
func (c *Collection) seal(ctx context.Context) (*seal.Sealer, error) {
	if sealer := c.sealer.Load(); sealer != nil {
		return sealer, nil
	}
	rec, err := storage.Update(ctx, c.store, system.StoreKey("cursor-key"), func(old storage.Record) (storage.Record, error) {
		if old.Revision != 0 {
			return old, storage.ErrNoChange
		}
		key := make([]byte, seal.KeySize)
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
	c.sealer.Store(sealer)
	return sealer, nil
}

func newSealer(key []byte) (*seal.Sealer, error) {
	sealer, err := seal.New(key)
	if err != nil {
		err = fmt.Errorf("the key of cursors: %w", err)
	}
	return sealer, err
}
