package postgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestErrorAtCommit: an error that comes when the transaction of a statement commits, after
// the statement itself has ended well, is the error of the write, in every protocol.
func TestErrorAtCommit(t *testing.T) {
	ctx := context.Background()
	for _, mode := range execModes {
		dsn := withParameters(pgtest.DSN(t), "default_query_exec_mode="+mode)
		opts := postgres.Options{Schema: pgtest.Schema(t, pgtest.DSN(t))}
		store, pool := newStoreAt(t, dsn, opts, nil)
		_, err := newPool(t, pgtest.DSN(t)).Exec(ctx, `CREATE FUNCTION `+opts.Schema+`.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE serialization_failure USING MESSAGE = 'at commit'; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE OR DELETE ON `+opts.Schema+`.records
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION `+opts.Schema+`.refuse()`)
		require.NoError(t, err)
		for _, n := range []int{1, 2, 10} {
			for _, logged := range []bool{false, true} {
				writes := testWrites("key", n)
				for i := range writes {
					if logged {
						writes[i].Note = &storage.Note{}
					}
					writes[i].Entries = []storage.Entry{uniqueEntry(writes[i].Record.Key.ExternalID)}
				}
				for _, err := range write(store, writes) {
					require.ErrorIs(t, err, storage.ErrConflict, "%s, %d writes, logged %t", mode, n, logged)
				}
			}
		}
		require.Empty(t, found(t, store))
		require.Zero(t, stored(t, pool, opts.Schema))
	}
}
