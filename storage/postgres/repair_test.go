package postgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestRepairBySQL: a row that somebody changes by hand, and leaves its revision as it
// was, gets another one, so that no program writes over the repair: neither one
// that remembers the row nor one that has just read it. So it is on tables that
// were made by the version before.
func TestRepairBySQL(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	for _, tt := range []struct {
		name    string
		prepare string // of the schema $
	}{
		{"new tables", "SELECT 1"},
		{"tables of version 2", "DROP TRIGGER next_revision ON $.records; DROP FUNCTION $.next_revision; UPDATE $.schema_version SET version = 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
			pool := newPool(t, dsn)
			run := func(sql string) { mustExec(t, pool, opts.Schema, sql) }
			require.NoError(t, postgres.Migrate(ctx, pool, &opts))
			run(tt.prepare)
			require.NoError(t, postgres.Migrate(ctx, pool, &opts))
			store, err := postgres.New(ctx, pool, &opts)
			require.NoError(t, err)

			rec := storage.Record{Key: testKey("key"), Data: []byte("broken")}
			rec.Revision, err = store.Put(ctx, rec, 0)
			require.NoError(t, err)
			was := rec.Revision
			run("UPDATE $.records SET data = 'repaired'")
			_, err = store.Put(ctx, rec, rec.Revision)
			current := inTheWay(t, err)
			require.NotNil(t, current)
			require.Equal(t, "repaired", string(current.Data))
			require.Greater(t, current.Revision, was)
			require.LessOrEqual(t, current.Revision, was+1<<30)

			run("UPDATE $.records SET data = 'again'")
			got, err := storage.Update(ctx, store, rec.Key, func(old storage.Record) (storage.Record, error) {
				old.Data = append(old.Data[:len(old.Data):len(old.Data)], '!')
				return old, nil
			})
			require.NoError(t, err)
			require.Equal(t, "again!", string(got.Data))

			run("UPDATE $.records SET revision = 7")
			rec, err = store.Get(ctx, rec.Key)
			require.NoError(t, err)
			require.Equal(t, storage.Revision(7), rec.Revision, "whoever gives a revision gets it")
		})
	}
}
