-- The store gives a row another revision with each update. An UPDATE by somebody
-- else, who left it as it was, gets one here: those who have seen the row before must
-- not take it for the same. It runs after the update, where it need not lock each row.
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

INSERT INTO schema.schema_version (version) VALUES (3) ON CONFLICT DO NOTHING;
