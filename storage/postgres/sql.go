package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are the SQL of a store, with the name of its schema filled in.
//
// The many-key ones are for the keys of one scope: an array is dear to unnest,
// and scopes as arrays made GetMany and PutMany a fifth slower. For the same
// reason the data of all records is one value, of which each row takes its
// piece; it is the last one, since the driver's buffer would be copied to grow
// after it.
//
// Those that search are written so that the planner looks each key up in the
// index, in the order of the keys, unless the table has no more than some hundred
// records: then it may read all of it, once. Where it sees that an array has a
// thousand elements, it prefers that for larger tables as well, which takes twice
// as long; hence the SELECT around each array. And where it sees the scope as
// constants, and knows little of the table, it may read the whole scope for each
// of the keys, which takes seconds; hence the subquery, which OFFSET 0 keeps
// closed. Get and update unnest in its SELECT, where the elements come one by
// one: unnest in FROM, and WITH ORDINALITY, which the order of the creates
// needs, fill a table first, and a third of GetMany went there.
//
// Each is atomic by itself and right at every isolation level. They list their
// columns, so that a column which a later version adds breaks no older
// program, and cast their arrays, whose types the simple protocol does not
// carry.
type statements struct {
	get, create, update, delete     string
	list, listLarge                 string
	getMany, createMany, updateMany string
	deleteMany                      string
}

const (
	getSQL = `
SELECT revision, id, created_at, updated_at, data
FROM schema.records
WHERE platform = $1 AND business = $2 AND schema_id = $3 AND external_id = $4`

	// Without data that is larger than $6. The length of a value is known without
	// the value.
	listSQL = `
SELECT external_id, revision, id, created_at, updated_at, CASE WHEN octet_length(data) <= $6 THEN data END
FROM schema.records
WHERE platform = $1 AND business = $2 AND schema_id = $3 AND external_id > $4
ORDER BY external_id
LIMIT $5`

	// Without data that goes beyond $6 bytes together with what is ahead of it,
	// unless that is nothing. The sum makes pages of small records a third slower.
	listLargeSQL = `
SELECT external_id, revision, id, created_at, updated_at, CASE WHEN ahead = 0 OR ahead + octet_length(data) <= $6 THEN data END
FROM (
	SELECT p.*, sum(octet_length(data)) OVER (ORDER BY external_id ROWS UNBOUNDED PRECEDING) - octet_length(data) AS ahead
	FROM (
		SELECT external_id, revision, id, created_at, updated_at, data
		FROM schema.records
		WHERE platform = $1 AND business = $2 AND schema_id = $3 AND external_id > $4
		ORDER BY external_id
		LIMIT $5
	) AS p
) AS q
ORDER BY external_id`

	createSQL = `
INSERT INTO schema.records
(platform, business, schema_id, external_id, revision, id, created_at, updated_at, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING`

	updateSQL = `
UPDATE schema.records
SET revision = $5, id = $6, created_at = $7, updated_at = $8, data = $10
WHERE platform = $1 AND business = $2 AND schema_id = $3 AND external_id = $4 AND revision = $9`

	// The second part sees the table as it was before the first.
	deleteSQL = `
WITH deleted AS (
	DELETE FROM schema.records
	WHERE platform = $1 AND business = $2 AND schema_id = $3 AND external_id = $4 AND revision = $5
	RETURNING revision
)
SELECT EXISTS (SELECT 1 FROM deleted), EXISTS (
	SELECT 1 FROM schema.records
	WHERE platform = $1 AND business = $2 AND schema_id = $3 AND external_id = $4
)`

	getManySQL = `
SELECT r.external_id, r.revision, r.id, r.created_at, r.updated_at, r.data
FROM (
	SELECT $1::uuid AS platform, $2::uuid AS business, $3::uuid AS schema_id, unnest((SELECT $4::text[])) AS external_id
	OFFSET 0
) AS k
JOIN schema.records AS r
	ON r.platform = k.platform AND r.business = k.business AND r.schema_id = k.schema_id AND r.external_id = k.external_id`

	createManySQL = `
INSERT INTO schema.records
(platform, business, schema_id, external_id, revision, id, created_at, updated_at, data)
SELECT $1::uuid, $2::uuid, $3::uuid, k.external_id, k.revision, k.id, k.created_at, k.updated_at,
	substring($11::bytea FROM k.start FOR k.length)
FROM unnest($4::text[], $5::bigint[], $6::uuid[], $7::timestamptz[], $8::timestamptz[], $9::integer[], $10::integer[])
	WITH ORDINALITY AS k (external_id, revision, id, created_at, updated_at, start, length, n)
ORDER BY k.n
ON CONFLICT DO NOTHING
RETURNING external_id`

	updateManySQL = `
UPDATE schema.records AS r
SET revision = k.revision, id = k.id, created_at = k.created_at, updated_at = k.updated_at,
	data = substring($12::bytea FROM k.start FOR k.length)
FROM (
	SELECT $1::uuid AS platform, $2::uuid AS business, $3::uuid AS schema_id,
		unnest((SELECT $4::text[])) AS external_id, unnest((SELECT $5::bigint[])) AS revision, unnest((SELECT $6::uuid[])) AS id,
		unnest((SELECT $7::timestamptz[])) AS created_at, unnest((SELECT $8::timestamptz[])) AS updated_at,
		unnest((SELECT $9::integer[])) AS start, unnest((SELECT $10::integer[])) AS length, unnest((SELECT $11::bigint[])) AS expected
	OFFSET 0
) AS k
WHERE r.platform = k.platform AND r.business = k.business AND r.schema_id = k.schema_id AND r.external_id = k.external_id
	AND r.revision = k.expected
RETURNING r.external_id`

	// The second part sees the table as it was before the first, and so what was
	// there and was not deleted as well. IN makes a hash of what was deleted, where
	// a join would compare each of its rows with each.
	deleteManySQL = `
WITH k AS MATERIALIZED (
	SELECT $1::uuid AS platform, $2::uuid AS business, $3::uuid AS schema_id, u.*
	FROM unnest((SELECT $4::text[]), (SELECT $5::bigint[])) AS u (external_id, revision)
), deleted AS (
	DELETE FROM schema.records AS r
	USING k
	WHERE r.platform = k.platform AND r.business = k.business AND r.schema_id = k.schema_id AND r.external_id = k.external_id
		AND r.revision = k.revision
	RETURNING r.external_id
)
SELECT r.external_id, r.external_id IN (SELECT external_id FROM deleted)
FROM k
JOIN schema.records AS r
	ON r.platform = k.platform AND r.business = k.business AND r.schema_id = k.schema_id AND r.external_id = k.external_id`
)

func newStatements(schema string) statements {
	in := func(sql string) string { return inSchema(schema, sql) }
	return statements{
		get: in(getSQL), list: in(listSQL), listLarge: in(listLargeSQL), create: in(createSQL), update: in(updateSQL), delete: in(deleteSQL),
		getMany: in(getManySQL), createMany: in(createManySQL), updateMany: in(updateManySQL),
		deleteMany: in(deleteManySQL),
	}
}

// inSchema puts the quoted name in the place of "schema.".
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, "schema.", pgx.Identifier{schema}.Sanitize()+".")
}
