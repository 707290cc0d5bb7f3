package storagetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// BenchWriters measures what a wrapper does for 64 writers at a time. Each writes records
// of its own, of 400 bytes; all are of one tenant, or each of another one. The two stores
// take turns: "ratio" is the writes with the wrapper divided by those without.
func BenchWriters(b *testing.B, newStore func(b *testing.B) storage.Store, wrap func(storage.Store) storage.Store) {
	const writers, records, turn = 64, 20, time.Second
	for _, tenants := range []int{1, writers} {
		b.Run(fmt.Sprintf("tenants-%d", tenants), func(b *testing.B) {
			var puts [2]float64
			stores := []storage.Store{newStore(b), wrap(newStore(b))}
			owned := make([][writers][records]storage.Record, len(stores))
			for b.Loop() {
				for i, store := range stores {
					var done atomic.Int64
					start := time.Now()
					err := inParallel(writers, func(w int) error {
						scope := storage.Scope{Tenant: storage.TenantOf("bench", fmt.Sprint(w%tenants)), Schema: uuid.Max}
						for n := 0; time.Since(start) < turn; n++ {
							rec := &owned[i][w][n%records]
							if rec.Revision == 0 {
								*rec = storage.Record{Key: keyIn(scope, fmt.Sprintf("%d-%d", w, n)), ID: uuid.Max, CreatedAt: start}
							}
							rec.UpdatedAt, rec.Data = time.Now(), make([]byte, 400)
							var err error
							if rec.Revision, err = storage.Put(context.Background(), store, *rec, rec.Revision); err != nil {
								return err
							}
							done.Add(1)
						}
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
					puts[i] += float64(done.Load()) / time.Since(start).Seconds()
				}
			}
			for _, store := range stores {
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(puts[0]/float64(b.N), "without/s")
			b.ReportMetric(puts[1]/float64(b.N), "with/s")
			b.ReportMetric(puts[1]/puts[0], "ratio")
		})
	}
}
