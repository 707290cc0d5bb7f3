-- One program after the other makes the tables. Where others use them already, a change
-- waits for their locks, and those that come after it wait too. So it gives up soon.
SELECT pg_catalog.pg_advisory_xact_lock(8243119022650717);
SELECT pg_catalog.set_config('lock_timeout', '2s', true);

CREATE TABLE IF NOT EXISTS schema.records (
	scope       uuid NOT NULL, -- of platform, business and schema_id, by the function scope
	external_id text COLLATE "C" NOT NULL, -- pages are in the order of bytes
	revision    bigint NOT NULL,
	id          uuid NOT NULL,
	created_at  timestamptz NOT NULL,
	updated_at  timestamptz NOT NULL,
	data        bytea NOT NULL, -- JSON, byte for byte as it was written
	platform    uuid NOT NULL,
	business    uuid NOT NULL,
	schema_id   uuid NOT NULL,
	PRIMARY KEY (scope, external_id)
) WITH (fillfactor = 80); -- room for updates in the page of the row

-- The column entries has a byte for each entry of the record, 1 if it is unique, and its
-- place. The store gives a row with entries another generation with each write, so
-- an UPDATE that leaves the generation is one by SQL.
ALTER TABLE schema.records
	ADD COLUMN IF NOT EXISTS entries bytea[],
	ADD COLUMN IF NOT EXISTS generation bigint;

-- The entries of all records, in the order of look-ups. Triggers keep them equal to the
-- column entries.
CREATE TABLE IF NOT EXISTS schema.entries (
	scope       uuid NOT NULL,
	place       bytea NOT NULL, -- the number of the index, four bytes, and the value
	external_id text COLLATE "C" NOT NULL,
	is_unique   boolean NOT NULL,
	lost        boolean NOT NULL DEFAULT false, -- goes when the transaction commits
	PRIMARY KEY (scope, place, external_id)
);

CREATE UNIQUE INDEX IF NOT EXISTS entries_unique ON schema.entries (scope, place) WHERE is_unique;

-- The log. A number is drawn while the writer holds the lock of the row, so the changes
-- of one key have ascending numbers. The numbers start after the first floor.
CREATE TABLE IF NOT EXISTS schema.changes (
	seq         bigint GENERATED ALWAYS AS IDENTITY (START WITH 2 CACHE 1) PRIMARY KEY,
	scope       uuid NOT NULL,
	external_id text COLLATE "C" NOT NULL, -- if redacted, a keyed hash
	platform    uuid NOT NULL,
	business    uuid NOT NULL,
	schema_id   uuid NOT NULL,
	revision    bigint NOT NULL,
	before      bigint NOT NULL, -- the revision; 0 if the write created the record
	id          uuid NOT NULL,
	deleted     boolean NOT NULL,
	redacted    boolean NOT NULL DEFAULT false,
	at          timestamptz NOT NULL,
	actor       text NOT NULL,
	reason      text NOT NULL,
	data_before bytea,
	data_after  bytea
);

CREATE INDEX IF NOT EXISTS changes_key ON schema.changes (scope, external_id, seq);
CREATE INDEX IF NOT EXISTS changes_scope ON schema.changes (scope, seq);

-- One row: the last change that was trimmed, and the secret of the hashes in redacted
-- changes. gen_random_uuid has 122 strong random bits.
CREATE TABLE IF NOT EXISTS schema.log (
	one            boolean PRIMARY KEY DEFAULT true CHECK (one),
	floor          bigint NOT NULL DEFAULT 1,
	floor_revision bigint NOT NULL DEFAULT 1 + pg_catalog.floor(pg_catalog.random() * 4611686018427387904)::bigint,
	secret         bytea NOT NULL DEFAULT pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
);

INSERT INTO schema.log DEFAULT VALUES ON CONFLICT DO NOTHING;

-- The scope is one value in place of three: at each step of a search, an index
-- compares each of its columns. The store computes the same by itself.
CREATE OR REPLACE FUNCTION schema.scope(platform uuid, business uuid, schema_id uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT encode(substring(sha256(uuid_send($1) || uuid_send($2) || uuid_send($3)) FOR 16), 'hex')::uuid
$$;

CREATE TABLE IF NOT EXISTS schema.schema_version (
	version integer PRIMARY KEY
);

-- NULL for data that jsonb refuses: not UTF-8 or not JSON, \u0000, numbers
-- out of the range of numeric, values too deep or too large. It cannot be
-- PARALLEL SAFE: a block with EXCEPTION is a subtransaction.
CREATE OR REPLACE FUNCTION schema.data_jsonb(data bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	RETURN pg_catalog.convert_from(data, 'UTF8')::pg_catalog.jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
	RETURN NULL;
END
$$;

CREATE OR REPLACE VIEW schema.resources AS
SELECT scope, platform, business, schema_id, external_id, revision, id, created_at, updated_at,
	schema.data_jsonb(data) AS data
FROM schema.records;

-- After a row has changed:
--
-- 1. If it was an UPDATE by SQL, the row gets another revision, unless it has got one:
--    clients that have seen the row before must not take it for the same. Its entries may
--    no longer be those of the document, and go. (A trigger BEFORE UPDATE would have to
--    lock each row of the store's updates.)
-- 2. Adds the entries that the row has got; after SetEntries, which leaves the revision,
--    all that it has, so that one which is missing comes back. A value that another
--    record has is an error, which names the index and not the value.
-- 3. Removes the entries that the row has lost. In a batch, a unique value is not free
--    for other writes before the transaction commits.
CREATE OR REPLACE FUNCTION schema.move_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	had    bytea[] := '{}';
	has    bytea[] := '{}';
	gained bytea[] := '{}';
	gone   bytea;
	entry  bytea;
	n      bigint;
BEGIN
	IF TG_OP <> 'INSERT' AND OLD.entries IS NOT NULL THEN had := OLD.entries; END IF;
	IF TG_OP <> 'DELETE' AND NEW.entries IS NOT NULL THEN has := NEW.entries; END IF;
	IF TG_OP = 'UPDATE' AND NEW.generation IS NOT DISTINCT FROM OLD.generation THEN
		EXECUTE pg_catalog.format('UPDATE %s SET entries = NULL, generation = NULL,
			revision = revision + CASE WHEN $3 THEN 1 + pg_catalog.floor(pg_catalog.random() * 1073741824)::bigint ELSE 0 END
			WHERE scope = $1 AND external_id = $2', TG_RELID::pg_catalog.regclass)
		USING NEW.scope, NEW.external_id, NEW.revision = OLD.revision;
		GET DIAGNOSTICS n = ROW_COUNT;
		IF n <> 1 THEN
			RAISE EXCEPTION 'an UPDATE of a record must change its revision as well';
		END IF;
		has := '{}';
	END IF;

	FOREACH entry IN ARRAY has LOOP
		IF entry <> ALL (had) OR NEW.revision = OLD.revision THEN
			gained := gained || entry;
		END IF;
	END LOOP;
	IF gained <> '{}' THEN
		INSERT INTO schema.entries (scope, place, external_id, is_unique)
		SELECT NEW.scope, pg_catalog.substring(e, 2), NEW.external_id, pg_catalog.get_byte(e, 0) = 1
		FROM pg_catalog.unnest(gained) AS e
		ON CONFLICT DO NOTHING;
		GET DIAGNOSTICS n = ROW_COUNT;
		IF n = pg_catalog.cardinality(gained) THEN gained := '{}'; END IF;
	END IF;
	-- A row that is there may be the record's own, perhaps with another is_unique.
	FOREACH entry IN ARRAY gained LOOP
		DELETE FROM schema.entries AS r
		WHERE r.scope = NEW.scope AND r.place = pg_catalog.substring(entry, 2) AND r.external_id = NEW.external_id
			AND r.is_unique <> (pg_catalog.get_byte(entry, 0) = 1);
		IF FOUND THEN
			INSERT INTO schema.entries (scope, place, external_id, is_unique)
			VALUES (NEW.scope, pg_catalog.substring(entry, 2), NEW.external_id, pg_catalog.get_byte(entry, 0) = 1)
			ON CONFLICT DO NOTHING;
		END IF;
		PERFORM FROM schema.entries AS r
		WHERE r.scope = NEW.scope AND r.place = pg_catalog.substring(entry, 2) AND r.external_id = NEW.external_id;
		IF NOT FOUND THEN
			RAISE unique_violation USING MESSAGE = 'another record has a unique entry', CONSTRAINT = 'entries_unique',
				COLUMN = pg_catalog.encode(pg_catalog.substring(entry, 2, 4), 'hex');
		END IF;
	END LOOP;

	-- One by one: for several places the planner may read the entries of the whole scope.
	FOREACH entry IN ARRAY had LOOP
		CONTINUE WHEN pg_catalog.set_byte(entry, 0, 0) = ANY (has) OR pg_catalog.set_byte(entry, 0, 1) = ANY (has);
		gone := pg_catalog.substring(entry, 2);
		IF pg_catalog.current_setting('resourcekit.batch', true) = 'on' THEN
			UPDATE schema.entries SET lost = true
			WHERE scope = OLD.scope AND place = gone AND external_id = OLD.external_id AND is_unique;
		END IF;
		DELETE FROM schema.entries AS r
		WHERE r.scope = OLD.scope AND r.place = gone AND r.external_id = OLD.external_id AND NOT r.lost;
	END LOOP;
	RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER entries_insert AFTER INSERT ON schema.records
FOR EACH ROW WHEN (NEW.entries IS NOT NULL)
EXECUTE FUNCTION schema.move_entries();

CREATE OR REPLACE TRIGGER entries_update AFTER UPDATE ON schema.records
FOR EACH ROW WHEN (NEW.revision = OLD.revision OR NEW.entries IS DISTINCT FROM OLD.entries
	OR NEW.entries IS NOT NULL AND NEW.generation = OLD.generation)
EXECUTE FUNCTION schema.move_entries();

CREATE OR REPLACE TRIGGER entries_delete AFTER DELETE ON schema.records
FOR EACH ROW WHEN (OLD.entries IS NOT NULL)
EXECUTE FUNCTION schema.move_entries();

CREATE OR REPLACE FUNCTION schema.remove_lost() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM schema.entries AS r
	WHERE r.scope = NEW.scope AND r.place = NEW.place AND r.external_id = NEW.external_id AND r.lost;
	RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS remove_lost ON schema.entries;
CREATE CONSTRAINT TRIGGER remove_lost AFTER UPDATE ON schema.entries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.lost)
EXECUTE FUNCTION schema.remove_lost();

CREATE OR REPLACE FUNCTION schema.lose_all_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE schema.entries;
	RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER lose_all_entries AFTER TRUNCATE ON schema.records
EXECUTE FUNCTION schema.lose_all_entries();

-- The trigger of version 3.
DROP TRIGGER IF EXISTS next_revision ON schema.records;
DROP FUNCTION IF EXISTS schema.next_revision();

-- Also for sessions with session_replication_role = replica.
ALTER TABLE schema.records
	ENABLE ALWAYS TRIGGER entries_insert,
	ENABLE ALWAYS TRIGGER entries_update,
	ENABLE ALWAYS TRIGGER entries_delete,
	ENABLE ALWAYS TRIGGER lose_all_entries;
ALTER TABLE schema.entries ENABLE ALWAYS TRIGGER remove_lost;

DELETE FROM schema.schema_version WHERE version < 4;
INSERT INTO schema.schema_version (version) VALUES (4) ON CONFLICT DO NOTHING;
