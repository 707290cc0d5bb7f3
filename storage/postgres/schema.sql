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
