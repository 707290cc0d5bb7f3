CREATE TABLE IF NOT EXISTS schema.records (
	scope       uuid NOT NULL, -- of platform, business and schema_id, by the function scope
	external_id text COLLATE "C" NOT NULL, -- pages are in the order of bytes
	revision    bigint NOT NULL,
	id          uuid NOT NULL,
	created_at  timestamptz NOT NULL,
	updated_at  timestamptz NOT NULL,
	data        bytea NOT NULL, -- JSON, byte for byte as it was put
	platform    uuid NOT NULL,
	business    uuid NOT NULL,
	schema_id   uuid NOT NULL,
	PRIMARY KEY (scope, external_id)
) WITH (fillfactor = 80); -- room for updates in the page of the row

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

-- The store gives a row another revision with each update. If an UPDATE by SQL leaves
-- the revision as it was, this trigger changes it: clients that have seen the row
-- before must not take it for the same. A trigger BEFORE
-- UPDATE would have to lock each row of the store's updates.
CREATE OR REPLACE FUNCTION schema.next_revision() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	changed bigint;
BEGIN
	EXECUTE pg_catalog.format('UPDATE %s
		SET revision = revision + 1 + pg_catalog.floor(pg_catalog.random() * 1073741824)::bigint
		WHERE scope = $1 AND external_id = $2', TG_RELID::pg_catalog.regclass)
	USING NEW.scope, NEW.external_id;
	GET DIAGNOSTICS changed = ROW_COUNT;
	IF changed <> 1 THEN
		RAISE EXCEPTION 'an UPDATE of a record must change its revision as well';
	END IF;
	RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER next_revision AFTER UPDATE ON schema.records
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION schema.next_revision();

-- Also for sessions with session_replication_role = replica.
ALTER TABLE schema.records ENABLE ALWAYS TRIGGER next_revision;

INSERT INTO schema.schema_version (version) VALUES (3) ON CONFLICT DO NOTHING;
