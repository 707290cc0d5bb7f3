package postgres

import (
	"fmt"
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
// program, and cast values that the simple protocol and a SELECT leave without a type. No array
// has a NULL: as text, a setting of the session (array_nulls) makes it the word.
//
// Brackets are around times and data that are read, see columns.
type statements struct {
	get, getMany, echo string

	// These have one for each direction, see forwards.
	list, listLarge, lookup, lookupLarge [2]string

	one, many  [3]string    // a write without a note, and many, by kind
	logged     [2][3]string // one and many with a note
	batch      string       // before many writes with unique entries
	setEntries string

	look, take                                           string // of the fence
	changes, changesOf, changesKey, changesBefore, knows string
	trim, secret, redact                                 string
}

// The kinds of writes.
const (
	create = iota
	update
	remove
)

const (
	getSQL = `
SELECT revision, id, [created_at], [updated_at], [data]
FROM schema.records
WHERE scope = $1 AND external_id = $2`

	// Without data that is larger than $4. The length of a value is known without
	// the value. Where the values are in a SELECT, the server does not know them when it
	// plans, and so goes on with one plan: to make one takes longer than to run it.
	listSQL = `
SELECT external_id, revision, id, [created_at], [updated_at], [CASE WHEN octet_length(data) <= $4 THEN data END]
FROM schema.records
WHERE scope = $1 AND external_id > (SELECT $2::text)
ORDER BY external_id ASC
LIMIT (SELECT $3::bigint)`

	// Without data that goes beyond $4 bytes together with the data before it,
	// unless there is none. The sum makes pages of small records a third slower.
	listLargeSQL = `
SELECT external_id, revision, id, [created_at], [updated_at], [CASE WHEN ahead = 0 OR ahead + octet_length(data) <= $4 THEN data END]
FROM (
	SELECT p.*, sum(octet_length(data)) OVER (ORDER BY external_id ASC ROWS UNBOUNDED PRECEDING) - octet_length(data) AS ahead
	FROM (
		SELECT external_id, revision, id, created_at, updated_at, data
		FROM schema.records
		WHERE scope = $1 AND external_id > (SELECT $2::text)
		ORDER BY external_id ASC
		LIMIT (SELECT $3::bigint)
	) AS p
) AS q
ORDER BY external_id ASC`

	// The same two for look-ups: after the position ($5, $2), up to the place $6. = ANY
	// has the planner read each record by its key at once, where = has it look for
	// records that come twice first. 1001 is one more than the largest page: without a
	// limit that it knows, the planner starts parallel workers for a large tenant, which
	// takes a hundred times as long as the look-up.
	lookupSQL = `
SELECT e.external_id, [e.place], revision, id, [created_at], [updated_at], [CASE WHEN octet_length(data) <= $4 THEN data END]
FROM (
	SELECT place, external_id
	FROM schema.entries
	WHERE scope = $1 AND (place, external_id) > (SELECT $5::bytea, $2::text) AND place < (SELECT $6::bytea)
	ORDER BY place ASC, external_id ASC
	LIMIT 1001
) AS e
JOIN schema.records AS r ON r.scope = $1 AND r.external_id = ANY (ARRAY[e.external_id])
ORDER BY e.place ASC, e.external_id ASC
LIMIT (SELECT $3::bigint)`

	lookupLargeSQL = `
SELECT external_id, [place], revision, id, [created_at], [updated_at], [CASE WHEN ahead = 0 OR ahead + octet_length(data) <= $4 THEN data END]
FROM (
	SELECT p.*, sum(octet_length(data)) OVER (ORDER BY place ASC, external_id ASC ROWS UNBOUNDED PRECEDING) - octet_length(data) AS ahead
	FROM (
		SELECT e.place, e.external_id, revision, id, created_at, updated_at, data
		FROM (
			SELECT place, external_id
			FROM schema.entries
			WHERE scope = $1 AND (place, external_id) > (SELECT $5::bytea, $2::text) AND place < (SELECT $6::bytea)
			ORDER BY place ASC, external_id ASC
			LIMIT 1001
		) AS e
		JOIN schema.records AS r ON r.scope = $1 AND r.external_id = ANY (ARRAY[e.external_id])
		ORDER BY e.place ASC, e.external_id ASC
		LIMIT (SELECT $3::bigint)
	) AS p
) AS q
ORDER BY place ASC, external_id ASC`

	// Whether these three did anything tells the number of rows.
	createSQL = `
INSERT INTO schema.records
(scope, external_id, revision, id, created_at, updated_at, platform, business, schema_id, entries, generation, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10::text, '')::bytea[], CASE WHEN $10 <> '' THEN $3::bigint END, $11)
ON CONFLICT DO NOTHING`

	updateSQL = `
UPDATE schema.records
SET revision = $4, updated_at = $5, entries = nullif($6::text, '')::bytea[], generation = CASE WHEN $6 <> '' THEN $4::bigint END, data = $7
WHERE scope = $1 AND external_id = $2 AND revision = $3`

	deleteSQL = `
DELETE FROM schema.records
WHERE scope = $1 AND external_id = $2 AND revision = $3`

	// For the function move_entries, until the end of the transaction.
	batchSQL = `
SELECT set_config('resourcekit.batch', 'on', true)`

	// A negative generation, another one than before.
	setEntriesSQL = `
UPDATE schema.records
SET entries = nullif($4::text, '')::bytea[], generation = least(generation, 0) - 1
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
INSERT INTO schema.records AS r
(scope, external_id, revision, id, created_at, updated_at, platform, business, schema_id, entries, generation, data)
SELECT $1::uuid, k.external_id, k.revision, k.id, k.created_at, k.updated_at, $10::uuid, $11::uuid, $12::uuid,
	nullif(k.entries, '')::bytea[], CASE WHEN k.entries <> '' THEN k.revision END,
	substring($13::bytea FROM k.start FOR k.length)
FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::integer[], $9::integer[])
	WITH ORDINALITY AS k (external_id, revision, id, created_at, updated_at, entries, start, length, n)
ORDER BY k.n
ON CONFLICT DO NOTHING
RETURNING r.external_id`

	updateManySQL = `
UPDATE schema.records AS r
SET revision = k.revision, updated_at = k.updated_at,
	entries = nullif(k.entries, '')::bytea[], generation = CASE WHEN k.entries <> '' THEN k.revision END,
	data = substring($9::bytea FROM k.start FOR k.length)
FROM (
	SELECT $1::uuid AS scope, unnest((SELECT $2::text[])) AS external_id,
		unnest((SELECT $3::bigint[])) AS expected, unnest((SELECT $4::bigint[])) AS revision,
		unnest((SELECT $5::timestamptz[])) AS updated_at, unnest((SELECT $6::text[])) AS entries,
		unnest((SELECT $7::integer[])) AS start, unnest((SELECT $8::integer[])) AS length
	OFFSET 0
) AS k
WHERE r.scope = k.scope AND r.external_id = k.external_id
	AND r.revision = k.expected
RETURNING r.external_id`

	deleteManySQL = `
DELETE FROM schema.records AS r
USING (
	SELECT $1::uuid AS scope, unnest((SELECT $2::text[])) AS external_id, unnest((SELECT $3::bigint[])) AS expected
	OFFSET 0
) AS k
WHERE r.scope = k.scope AND r.external_id = k.external_id
	AND r.revision = k.expected
RETURNING r.external_id`

	// Around a write: its row in the log, which has the ID of the stored record. The
	// number is drawn after the row has been written, and so locked. %s is the write,
	// $+1 its first free parameter.
	loggedSQL = `
WITH w AS (%s
	RETURNING external_id, id)
INSERT INTO schema.changes (scope, external_id, platform, business, schema_id, revision, before, id, deleted, at, actor, reason, data_before, data_after)
SELECT $1, w.external_id, $+1::uuid, $+2::uuid, $+3::uuid, $+4::bigint, $+5::bigint, w.id, $+6::boolean,
	$+7::timestamptz, $+8::text, $+9::text, $+10::bytea, $+11::bytea
FROM w`

	// FULL JOIN, and a condition that the planner does not see through, as it is always
	// made by a hash or by a merge: a nested loop would compare each row with each.
	loggedManySQL = `
WITH w AS (%s, r.id)
INSERT INTO schema.changes (scope, external_id, platform, business, schema_id, revision, before, id, deleted, at, actor, reason, data_before, data_after)
SELECT $1, w.external_id, $+1::uuid, $+2::uuid, $+3::uuid, n.revision, n.before, w.id, $+7::boolean, n.at, n.actor, n.reason,
	nullif(n.data_before, ''), nullif(n.data_after, '')
FROM w
FULL JOIN (
	SELECT unnest($2::text[]) AS external_id, unnest($+4::bigint[]) AS revision, unnest($+5::bigint[]) AS before,
		unnest($+6::timestamptz[]) AS at, unnest($+8::text[]) AS actor, unnest($+9::text[]) AS reason,
		unnest($+10::bytea[]) AS data_before, unnest($+11::bytea[]) AS data_after
) AS n ON n.external_id = w.external_id
WHERE coalesce(w.external_id, '') <> ''
RETURNING external_id`

	// For the fence, in one snapshot: the last number drawn, the oldest
	// transaction that may still run and the first that has not ended, the revision of the change at $1, the floor, and
	// the last change up to $2.
	lookSQL = `
SELECT s.last_value - CASE WHEN s.is_called THEN 0 ELSE 1 END, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
	coalesce((SELECT revision FROM schema.changes WHERE seq = $1), 0), l.floor, l.floor_revision,
	coalesce(c.seq, 0), coalesce(c.revision, 0)
FROM schema.changes_seq_seq AS s
CROSS JOIN schema.log AS l
LEFT JOIN LATERAL (SELECT seq, revision FROM schema.changes WHERE seq <= $2 ORDER BY seq DESC LIMIT 1) AS c ON true`

	takeSQL = `
SELECT pg_current_xact_id()::text::bigint`

	// Without documents that go beyond $4 bytes together with those before, as
	// listLargeSQL, and without any if $5. The server reads only those that it sends.
	changesSQL = `
SELECT seq, revision, before, id, [changed_at], deleted, redacted, platform, business, schema_id, external_id, actor, reason,
	[CASE WHEN fits AND NOT $5 THEN data_before END], [CASE WHEN fits AND NOT $5 THEN data_after END], fits
FROM (
	SELECT p.*, ahead = 0 OR ahead + size <= $4 AS fits
	FROM (
		SELECT p.*, sum(size) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) - size AS ahead
		FROM (
			SELECT seq, scope, revision, before, id, at AS changed_at, deleted, redacted, platform, business, schema_id, external_id, actor, reason,
				data_before, data_after, octet_length(actor) + octet_length(reason) + CASE WHEN $5::boolean THEN 0
					ELSE coalesce(octet_length(data_before), 0) + coalesce(octet_length(data_after), 0) END AS size
			FROM schema.changes
			WHERE {where}
			ORDER BY {order}
			LIMIT (SELECT $3::bigint)
		) AS p
	) AS p
) AS p
ORDER BY {order}`

	// Whether the cursor ($1, $2) is one of this log.
	knowsSQL = `
SELECT EXISTS (SELECT FROM schema.changes WHERE seq = $1 AND revision = $2) OR EXISTS (SELECT FROM schema.log WHERE floor = $1 AND floor_revision = $2)`

	// Trims at most $3 changes, up to $1 and to the first one at or after $2, and
	// returns how many; none if the cursor ($4, $5) is not one of this log.
	trimSQL = `
WITH known AS (
	SELECT $4::bigint = 0 OR EXISTS (SELECT FROM schema.changes WHERE seq = $4 AND revision = $5)
		OR EXISTS (SELECT FROM schema.log WHERE floor = $4 AND floor_revision = $5) AS known
), part AS (
	SELECT seq, at FROM schema.changes WHERE seq <= $1 AND (SELECT known FROM known) ORDER BY seq LIMIT $3
), gone AS (
	DELETE FROM schema.changes
	WHERE seq <= (SELECT coalesce(min(seq) FILTER (WHERE at >= $2) - 1, max(seq)) FROM part)
	RETURNING seq, revision
), floor AS (
	UPDATE schema.log SET floor = g.seq, floor_revision = g.revision
	FROM (SELECT seq, revision FROM gone ORDER BY seq DESC LIMIT 1) AS g
	WHERE floor < g.seq
)
SELECT count(*), (SELECT known FROM known) FROM gone`

	secretSQL = `
SELECT [secret] FROM schema.log`

	// Redacts the first $5 changes after $4, and returns how many and the last one. For each ID
	// among them it adds a change, unless there is one after them all, of a step before:
	// no other delete is of revision 0. FULL JOIN as in loggedManySQL. The numbers are drawn
	// when the changes have been redacted, as the fence demands.
	redactSQL = `
WITH part AS (
	SELECT seq FROM schema.changes
	WHERE scope = $1 AND external_id = $2 AND NOT redacted AND seq > $4
	ORDER BY seq
	LIMIT $5
	FOR UPDATE
), gone AS (
	UPDATE schema.changes AS c
	SET external_id = $3, redacted = true, actor = '', reason = '', data_before = NULL, data_after = NULL
	FROM part
	WHERE c.seq = part.seq
	RETURNING c.seq, c.id
), added AS (
	INSERT INTO schema.changes (scope, external_id, platform, business, schema_id, revision, before, id, deleted, redacted, at, actor, reason)
	SELECT $1, $3, $6::uuid, $7::uuid, $8::uuid, 1 + floor(random() * 4611686018427387904)::bigint, 0, g.id, true, true, $9::timestamptz, $10::text, $11::text
	FROM (SELECT id, min(seq) AS first, max(seq) AS last FROM gone GROUP BY id) AS g
	FULL JOIN (
		SELECT id, max(seq) AS seq FROM schema.changes
		WHERE scope = $1 AND external_id = $3 AND seq > $4 AND deleted AND before = 0 GROUP BY id
	) AS a ON a.id = g.id
	WHERE coalesce(a.seq, 0) < coalesce(g.last, 0)
	ORDER BY g.first
)
SELECT count(*), coalesce(max(seq), 0) FROM gone`

	echoSQL = `
SELECT external_id, revision, id, [created_at], [updated_at], [data]
FROM (
	SELECT $1::text AS external_id, $2::bigint AS revision, $3::uuid AS id,
		$4::timestamptz AS created_at, $5::timestamptz AS updated_at, $6::bytea AS data
) AS r`
)

func newStatements(schema string, text bool) statements {
	in := func(sql string) string { return inSchema(schema, columns(sql, text)) }
	changes := func(where, order string) string {
		return in(strings.NewReplacer("{where}", where, "{order}", order).Replace(changesSQL))
	}
	s := statements{
		get: in(getSQL), getMany: in(getManySQL), echo: in(echoSQL),
		list: bothWays(in(listSQL)), listLarge: bothWays(in(listLargeSQL)),
		lookup: bothWays(in(lookupSQL)), lookupLarge: bothWays(in(lookupLargeSQL)),
		one:        [3]string{in(createSQL), in(updateSQL), in(deleteSQL)},
		many:       [3]string{in(createManySQL), in(updateManySQL), in(deleteManySQL)},
		batch:      in(batchSQL),
		setEntries: in(setEntriesSQL),
		look:       in(lookSQL), take: in(takeSQL), knows: in(knowsSQL),
		changes: changes("seq > $1 AND seq <= $2", "seq"),
		// In one comparison, or the planner may read the changes of all scopes.
		changesOf:     changes("(scope, seq) > ($6, $1) AND (scope, seq) <= ($6, $2)", "scope, seq"),
		changesKey:    changes("scope = $6 AND external_id = $7 AND seq > $1 AND seq <= $2", "seq"),
		changesBefore: changes("scope = $6 AND external_id = $7 AND seq < $1 AND seq <= $2", "seq DESC"),
		trim:          in(trimSQL), secret: in(secretSQL), redact: in(redactSQL),
	}
	for kind := range s.one {
		s.logged[0][kind] = logged(in(loggedSQL), s.one[kind])
		s.logged[1][kind] = logged(in(loggedManySQL), s.many[kind])
	}
	return s
}

// logged puts a write into a statement that logs it.
func logged(sql, write string) string {
	first := 0
	for first < 20 && strings.Contains(write, fmt.Sprintf("$%d", first+1)) {
		first++
	}
	sql = fmt.Sprintf(sql, write)
	for i := 11; i > 0; i-- {
		sql = strings.ReplaceAll(sql, fmt.Sprintf("$+%d", i), fmt.Sprintf("$%d", first+i))
	}
	return sql
}

const (
	forwards = iota
	backwards
)

// bothWays returns the statement for each direction.
func bothWays(sql string) [2]string {
	return [2]string{forwards: sql, backwards: strings.NewReplacer(
		" ASC", " DESC", "external_id > (", "external_id < (",
		"external_id) > ", "external_id) < ", "place < (", "place >= (").Replace(sql)}
}

var bracketed = regexp.MustCompile(`\B\[[^]]+]`)

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
