package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestRepairBySQL: a row that an UPDATE changes, and leaves its revision as it was,
// gets another one, so that no program that has seen the row before writes over the
// repair. So it is in a session that turns ordinary triggers off, and in a schema that
// was renamed.
func TestRepairBySQL(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	for _, tt := range []struct {
		name    string
		session string // parameters
		prepare func(t *testing.T, run func(sql string), opts *postgres.Options)
	}{
		{"an ordinary session", "", func(*testing.T, func(string), *postgres.Options) {}},
		{"replica", "session_replication_role=replica", func(*testing.T, func(string), *postgres.Options) {}},
		{"replica, DDL run again", "session_replication_role=replica", func(t *testing.T, _ func(string), opts *postgres.Options) {
			_, err := newPool(t, dsn).Exec(ctx, postgres.DDL(opts))
			require.NoError(t, err)
		}},
		{"a renamed schema", "", func(t *testing.T, run func(string), opts *postgres.Options) {
			run(`ALTER SCHEMA $ RENAME TO "$ NEW"`)
			t.Cleanup(func() { run(`DROP SCHEMA "$ NEW" CASCADE`) })
			run("CREATE SCHEMA $; CREATE TABLE $.records (scope uuid, external_id text, revision bigint)") // another table, which is not used
			opts.Schema += " NEW"
			_, err := postgres.New(ctx, newPool(t, dsn), opts)
			require.ErrorContains(t, err, "run Migrate")
			require.NoError(t, postgres.Migrate(ctx, newPool(t, dsn), opts))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			schema := pgtest.Schema(t, dsn)
			opts := postgres.Options{Schema: schema}
			pool := newPool(t, withParameters(dsn, tt.session))
			require.NoError(t, postgres.Migrate(ctx, pool, &opts))
			tt.prepare(t, func(sql string) { mustExec(t, pool, schema, sql) }, &opts)
			run := func(sql string) { mustExec(t, pool, `"`+opts.Schema+`"`, sql) }
			store, err := postgres.New(ctx, pool, &opts)
			require.NoError(t, err)

			rec := storage.Record{Key: testKey("key"), Data: []byte("broken")}
			rec.Revision, err = storage.Put(ctx, store, rec, 0)
			require.NoError(t, err)
			elsewhere := rec // of the same name, but another tenant
			elsewhere.Key.Tenant = storage.TenantOf("globex", "main")
			elsewhere.Revision, err = storage.Put(ctx, store, elsewhere, 0)
			require.NoError(t, err)
			beside := rec
			beside.Key.ExternalID = "beside"
			beside.Revision, err = storage.Put(ctx, store, beside, 0)
			require.NoError(t, err)

			large := false
			for _, repair := range []string{"data = 'repaired'", "updated_at = now()", "data = data", "external_id = 'other'", "revision = revision"} {
				run("UPDATE $.records SET " + repair + " WHERE external_id IN ('key', 'other') AND platform = '" + rec.Key.Tenant.Platform.String() + "'")
				if strings.HasPrefix(repair, "external_id") {
					rec.Key.ExternalID = "other"
				}
				_, err = storage.Put(ctx, store, rec, rec.Revision)
				current := currentOf(t, err)
				require.NotNil(t, current, repair)
				require.Equal(t, "repaired", string(current.Data), repair)
				require.Greater(t, current.Revision, rec.Revision, repair)
				require.LessOrEqual(t, current.Revision, rec.Revision+1<<30, repair)
				large = large || current.Revision > rec.Revision+1<<10
				rec.Revision = current.Revision
			}
			require.True(t, large, "the steps are random")
			for _, other := range []storage.Record{elsewhere, beside} {
				_, err = storage.Put(ctx, store, other, other.Revision)
				require.NoError(t, err, "it was not repaired")
			}

			run("UPDATE $.records SET data = 'again'")
			got, err := storage.Update(ctx, store, rec.Key, func(old storage.Record) (storage.Record, error) {
				old.Data = append(old.Data[:len(old.Data):len(old.Data)], '!')
				return old, nil
			})
			require.NoError(t, err)
			require.Equal(t, "again!", string(got.Data))

			run("UPDATE $.records SET revision = 7")
			got, err = store.Get(ctx, rec.Key)
			require.NoError(t, err)
			require.Equal(t, storage.Revision(7), got.Revision, "the revision that the UPDATE gives")
		})
	}
}

// TestRepairWithoutPrivileges: where the row cannot get another revision, the repair
// fails.
func TestRepairWithoutPrivileges(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	run := func(sql string) { mustExec(t, pool, opts.Schema, sql) }
	run("CREATE ROLE $_clerk; GRANT USAGE ON SCHEMA $ TO $_clerk; GRANT SELECT, UPDATE (data) ON $.records TO $_clerk")
	t.Cleanup(func() { run("DROP OWNED BY $_clerk; DROP ROLE $_clerk") })
	rev, err := storage.Put(ctx, store, storage.Record{Key: testKey("key"), Data: []byte("a")}, 0)
	require.NoError(t, err)
	repair := func() error {
		_, err := pool.Exec(ctx, strings.ReplaceAll("SET LOCAL ROLE $_clerk; UPDATE $.records SET data = 'b'", "$", opts.Schema))
		return err
	}
	require.ErrorContains(t, repair(), "42501")
	run("GRANT UPDATE ON $.records TO $_clerk; ALTER TABLE $.records ENABLE ROW LEVEL SECURITY")
	run("CREATE POLICY once ON $.records TO $_clerk USING (data = 'a') WITH CHECK (true)")
	require.ErrorContains(t, repair(), "must change its revision")
	rec, err := store.Get(ctx, testKey("key"))
	require.NoError(t, err)
	require.Equal(t, rev, rec.Revision)
	require.Equal(t, "a", string(rec.Data))
}
