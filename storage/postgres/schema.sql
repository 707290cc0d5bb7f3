-- Where others use the tables already, a change of a table waits for them, and those
-- that come after it wait too. So it gives up soon.
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

-- entries is what the record is found by: of each entry a byte, 1 if it is unique, and
-- its place. The store gives a row with entries another generation with each write, so
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

-- NULL for what jsonb refuses: what is not UTF-8 or not JSON, \u0000, numbers
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

-- An UPDATE by SQL. If it left the revision, the row gets another one: clients that have
-- seen the row before must not take it for the same. Its entries may no longer be those
-- of the document, and go. A trigger BEFORE UPDATE would have to lock each row of the
-- store's updates.
CREATE OR REPLACE FUNCTION schema.next_revision() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	changed bigint;
BEGIN
	EXECUTE pg_catalog.format('UPDATE %s SET entries = NULL, generation = NULL,
		revision = revision + CASE WHEN $3 THEN 1 + pg_catalog.floor(pg_catalog.random() * 1073741824)::bigint ELSE 0 END
		WHERE scope = $1 AND external_id = $2', TG_RELID::pg_catalog.regclass)
	USING NEW.scope, NEW.external_id, NEW.revision = OLD.revision;
	GET DIAGNOSTICS changed = ROW_COUNT;
	IF changed <> 1 THEN
		RAISE EXCEPTION 'an UPDATE of a record must change its revision as well';
	END IF;
	RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER next_revision AFTER UPDATE ON schema.records
FOR EACH ROW WHEN (NEW.generation IS NOT DISTINCT FROM OLD.generation
	AND (NEW.revision = OLD.revision OR NEW.entries IS NOT NULL))
EXECUTE FUNCTION schema.next_revision();

-- Adds the entries that a row has got. After SetEntries, which makes the generation
-- negative, it adds all: so one that is missing comes back.
--
-- A value that another record has is an error, which names the index and not the value.
CREATE OR REPLACE FUNCTION schema.gain_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	had    bytea[];
	gained bytea[] := NEW.entries;
	n      bigint;
	taken  bytea;
BEGIN
	IF TG_OP = 'UPDATE' AND NEW.generation > 0 AND OLD.entries IS NOT NULL THEN
		had := OLD.entries;
		gained := ARRAY(SELECT e FROM pg_catalog.unnest(NEW.entries) AS e WHERE e <> ALL (had));
	END IF;
	FOR attempt IN 1..2 LOOP
		INSERT INTO schema.entries (scope, place, external_id, is_unique)
		SELECT NEW.scope, pg_catalog.substring(e, 2), NEW.external_id, pg_catalog.get_byte(e, 0) = 1
		FROM pg_catalog.unnest(gained) AS e
		ON CONFLICT DO NOTHING;
		GET DIAGNOSTICS n = ROW_COUNT;
		EXIT WHEN n = pg_catalog.cardinality(gained);
		-- What is there may be the record's own, and unique or not is what changes.
		DELETE FROM schema.entries AS r USING pg_catalog.unnest(gained) AS e
		WHERE r.scope = NEW.scope AND r.place = pg_catalog.substring(e, 2) AND r.external_id = NEW.external_id
			AND r.is_unique <> (pg_catalog.get_byte(e, 0) = 1);
		SELECT e INTO taken FROM pg_catalog.unnest(gained) AS e
		WHERE attempt = 2 AND NOT EXISTS (SELECT FROM schema.entries AS r
			WHERE r.scope = NEW.scope AND r.place = pg_catalog.substring(e, 2) AND r.external_id = NEW.external_id)
		ORDER BY e LIMIT 1;
		IF FOUND THEN
			RAISE unique_violation USING MESSAGE = 'another record has a unique entry', CONSTRAINT = 'entries_unique',
				COLUMN = pg_catalog.encode(pg_catalog.substring(taken, 2, 4), 'hex');
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER gain_entries AFTER INSERT ON schema.records
FOR EACH ROW WHEN (NEW.entries IS NOT NULL)
EXECUTE FUNCTION schema.gain_entries();

CREATE OR REPLACE TRIGGER gain_entries_update AFTER UPDATE ON schema.records
FOR EACH ROW WHEN (NEW.entries IS NOT NULL AND NEW.generation IS DISTINCT FROM OLD.generation
	AND (NEW.generation < 0 OR NEW.entries IS DISTINCT FROM OLD.entries))
EXECUTE FUNCTION schema.gain_entries();

-- Removes the entries that a row has lost, when the transaction commits: until then a
-- value is not free for the other writes of a batch.
CREATE OR REPLACE FUNCTION schema.lose_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM schema.entries AS r
	WHERE r.scope = OLD.scope AND r.external_id = OLD.external_id AND r.place = ANY (ARRAY(
		SELECT pg_catalog.substring(e, 2) FROM pg_catalog.unnest(OLD.entries) AS e
		EXCEPT ALL
		SELECT pg_catalog.substring(e, 2) FROM schema.records AS now, pg_catalog.unnest(now.entries) AS e
		WHERE now.scope = OLD.scope AND now.external_id = OLD.external_id));
	RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS lose_entries ON schema.records;
CREATE CONSTRAINT TRIGGER lose_entries AFTER DELETE ON schema.records
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (OLD.entries IS NOT NULL)
EXECUTE FUNCTION schema.lose_entries();

DROP TRIGGER IF EXISTS lose_entries_update ON schema.records;
CREATE CONSTRAINT TRIGGER lose_entries_update AFTER UPDATE ON schema.records
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (OLD.entries IS DISTINCT FROM NEW.entries AND OLD.entries IS NOT NULL
	OR OLD.entries IS NOT NULL AND (OLD.external_id <> NEW.external_id OR OLD.scope <> NEW.scope))
EXECUTE FUNCTION schema.lose_entries();

CREATE OR REPLACE FUNCTION schema.lose_all_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE schema.entries;
	RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER lose_all_entries AFTER TRUNCATE ON schema.records
EXECUTE FUNCTION schema.lose_all_entries();

-- Also for sessions with session_replication_role = replica.
ALTER TABLE schema.records
	ENABLE ALWAYS TRIGGER next_revision,
	ENABLE ALWAYS TRIGGER gain_entries,
	ENABLE ALWAYS TRIGGER gain_entries_update,
	ENABLE ALWAYS TRIGGER lose_entries,
	ENABLE ALWAYS TRIGGER lose_entries_update,
	ENABLE ALWAYS TRIGGER lose_all_entries;

DELETE FROM schema.schema_version WHERE version < 4;
INSERT INTO schema.schema_version (version) VALUES (4) ON CONFLICT DO NOTHING;
