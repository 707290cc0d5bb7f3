package postgres

import (
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are the SQL of a store, with the name of its schema filled in.
//
// A scope is one value, not three: a search compares every column of the key at
// each of its steps.
//
// The many-key ones are for the keys of one scope, as an array is dear to unnest.
// For the same reason the data of all records is one value, of which each row
// takes its piece; it is the last one, since the driver's buffer would be copied
// to grow after it.
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
//
// What stands in brackets is a time or data that is read, see columns.
type statements struct {
	get, create, update, delete     string
	list, listLarge                 string
	getMany, createMany, updateMany string
	deleteMany                      string
	echo                            string
}

const (
	getSQL = `
SELECT revision, id, [created_at], [updated_at], [data]
FROM schema.records
WHERE scope = $1 AND external_id = $2`

	// Without data that is larger than $4. The length of a value is known without
	// the value.
	listSQL = `
SELECT external_id, revision, id, [created_at], [updated_at], [CASE WHEN octet_length(data) <= $4 THEN data END]
FROM schema.records
WHERE scope = $1 AND external_id > $2
ORDER BY external_id
LIMIT $3`

	// Without data that goes beyond $4 bytes together with what is ahead of it,
	// unless that is nothing. The sum makes pages of small records a third slower.
	listLargeSQL = `
SELECT external_id, revision, id, [created_at], [updated_at], [CASE WHEN ahead = 0 OR ahead + octet_length(data) <= $4 THEN data END]
FROM (
	SELECT p.*, sum(octet_length(data)) OVER (ORDER BY external_id ROWS UNBOUNDED PRECEDING) - octet_length(data) AS ahead
	FROM (
		SELECT external_id, revision, id, created_at, updated_at, data
		FROM schema.records
		WHERE scope = $1 AND external_id > $2
		ORDER BY external_id
		LIMIT $3
	) AS p
) AS q
ORDER BY external_id`

	// Whether these three did anything tells the number of rows.
	createSQL = `
INSERT INTO schema.records
(scope, external_id, revision, id, created_at, updated_at, platform, business, schema_id, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING`

	updateSQL = `
UPDATE schema.records
SET revision = $4, updated_at = $5, data = $6
WHERE scope = $1 AND external_id = $2 AND revision = $3`

	deleteSQL = `
DELETE FROM schema.records
WHERE scope = $1 AND external_id = $2 AND revision = $3`

	getManySQL = `
SELECT r.external_id, r.revision, r.id, [r.created_at], [r.updated_at], [r.data]
FROM (
	SELECT $1::uuid AS scope, unnest((SELECT $2::text[])) AS external_id
	OFFSET 0
) AS k
JOIN schema.records AS r
	ON r.scope = k.scope AND r.external_id = k.external_id`

	createManySQL = `
INSERT INTO schema.records
(scope, external_id, revision, id, created_at, updated_at, platform, business, schema_id, data)
SELECT $1::uuid, k.external_id, k.revision, k.id, k.created_at, k.updated_at, $9::uuid, $10::uuid, $11::uuid,
	substring($12::bytea FROM k.start FOR k.length)
FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::integer[], $8::integer[])
	WITH ORDINALITY AS k (external_id, revision, id, created_at, updated_at, start, length, n)
ORDER BY k.n
ON CONFLICT DO NOTHING
RETURNING external_id`

	updateManySQL = `
UPDATE schema.records AS r
SET revision = r.revision + $7::bigint, updated_at = k.updated_at,
	data = substring($8::bytea FROM k.start FOR k.length)
FROM (
	SELECT $1::uuid AS scope, unnest((SELECT $2::text[])) AS external_id, unnest((SELECT $3::bigint[])) AS revision,
		unnest((SELECT $4::timestamptz[])) AS updated_at,
		unnest((SELECT $5::integer[])) AS start, unnest((SELECT $6::integer[])) AS length
	OFFSET 0
) AS k
WHERE r.scope = k.scope AND r.external_id = k.external_id
	AND r.revision = k.revision
RETURNING r.external_id`

	// The second part sees the table as it was before the first, and so what was
	// there and was not deleted as well. IN makes a hash of what was deleted, where
	// a join would compare each of its rows with each.
	deleteManySQL = `
WITH k AS MATERIALIZED (
	SELECT $1::uuid AS scope, u.*
	FROM unnest((SELECT $2::text[]), (SELECT $3::bigint[])) AS u (external_id, revision)
), deleted AS (
	DELETE FROM schema.records AS r
	USING k
	WHERE r.scope = k.scope AND r.external_id = k.external_id
		AND r.revision = k.revision
	RETURNING r.external_id
)
SELECT r.external_id, r.external_id IN (SELECT external_id FROM deleted)
FROM k
JOIN schema.records AS r
	ON r.scope = k.scope AND r.external_id = k.external_id`

	echoSQL = `
SELECT external_id, revision, id, [created_at], [updated_at], [data]
FROM (
	SELECT $1::text AS external_id, $2::bigint AS revision, $3::uuid AS id,
		$4::timestamptz AS created_at, $5::timestamptz AS updated_at, $6::bytea AS data
) AS r`
)

func newStatements(schema string, text bool) statements {
	in := func(sql string) string { return inSchema(schema, columns(sql, text)) }
	return statements{
		get: in(getSQL), list: in(listSQL), listLarge: in(listLargeSQL), create: in(createSQL), update: in(updateSQL), delete: in(deleteSQL),
		getMany: in(getManySQL), createMany: in(createManySQL), updateMany: in(updateManySQL),
		deleteMany: in(deleteManySQL), echo: in(echoSQL),
	}
}

var bracketed = regexp.MustCompile(`\[[^]]+]`)

// columns fills in the columns in brackets. As text, times and data are spelled as
// the session has it (DateStyle, TimeZone, bytea_output), which a pooler makes any
// session's: they are then read as numbers and as hex, which have one spelling.
func columns(sql string, text bool) string {
	return bracketed.ReplaceAllStringFunc(sql, func(s string) string {
		s = s[1 : len(s)-1]
		switch {
		case !text:
			return s
		case strings.HasSuffix(s, "_at"):
			return "extract(epoch FROM " + s + ")"
		}
		return "encode(" + s + ", 'hex')"
	})
}

// inSchema puts the quoted name in the place of "schema.".
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, "schema.", pgx.Identifier{schema}.Sanitize()+".")
}
