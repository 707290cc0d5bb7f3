package httpapi

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.com/resourcekit/internal/nearmiss"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// The parameters that the routes know.
const (
	onConflict          = "onconflict"
	ignoreUnknownFields = "ignoreUnknownFields"
	cursor              = "cursor"
	limit               = "limit"
	filter              = "filter" // stands for every filter[NAME] and filter[NAME][OP]
	sort                = "sort"
	schemaParameter     = "schema"
	after               = "after"
	include             = "include"
)

// actor returns who is calling, for the log of changes.
func actor(r *http.Request) string {
	p, _ := PrincipalFrom(r.Context())
	return p.Subject
}

// createQuery returns the policies that the query of a POST asks for.
func createQuery(r *http.Request) (resource.WriteOptions, error) {
	q, err := parseQuery(r)
	if err != nil {
		return resource.WriteOptions{}, err
	}
	q.nearMisses(onConflict, ignoreUnknownFields)
	opts := resource.WriteOptions{Actor: actor(r)}
	switch value, given := q.one(onConflict); {
	case !given || value == "upsert":
	case value == "reject":
		opts.RejectExisting = true
	default:
		q.note(`onconflict: expected "upsert" or "reject", in lower case`)
	}
	opts.UnknownFields = q.unknownFields()
	if err := q.err(); err != nil {
		return resource.WriteOptions{}, err
	}
	return opts, nil
}

// patchQuery returns the policy that the query of a PATCH asks for.
func patchQuery(r *http.Request, also []string) (resource.WriteOptions, error) {
	q, err := parseQuery(r)
	if err != nil {
		return resource.WriteOptions{}, err
	}
	q.known(slices.Concat([]string{ignoreUnknownFields}, idParameter(r), also))
	opts := resource.WriteOptions{UnknownFields: q.unknownFields(), Actor: actor(r)}
	if err := q.err(); err != nil {
		return resource.WriteOptions{}, err
	}
	return opts, nil
}

// listQuery returns which resources the query of a list asks for.
func listQuery(r *http.Request, s *schema.Schema, also []string) (resource.ListOptions, error) {
	q, err := parseQuery(r)
	if err != nil {
		return resource.ListOptions{}, err
	}
	opts := resource.ListOptions{MaxBytes: maxPageBytes}
	opts.Cursor, _ = q.one(cursor)
	opts.Limit = q.limit()
	for _, parameter := range q.names {
		rest, ok := strings.CutPrefix(parameter, filter)
		if !ok || rest != "" && rest[0] != '[' {
			continue
		}
		if len(rest) < 3 || rest[len(rest)-1] != ']' {
			q.note("filter: expected filter[NAME]=VALUE or filter[NAME][OP]=VALUE, where NAME is a field or a JSON Pointer, and OP is from, to or prefix")
			break
		}
		condition, values := conditionOf(s, rest[1:len(rest)-1]), q.values[parameter]
		if len(opts.Filter)+len(values) > maxFilters {
			q.note("filter: expected at most " + strconv.Itoa(maxFilters) + " conditions")
			break
		}
		for _, text := range values {
			condition.Value = text
			if lostPlus(s, condition) {
				q.about(parameter, "a + in a URL stands for a blank; write it as %2B")
			}
			opts.Filter = append(opts.Filter, condition)
		}
	}
	if text, given := q.one(sort); given {
		if opts.Order, opts.Descending = strings.CutPrefix(text, "-"); opts.Order == "" {
			q.note("sort: expected the name of a field, or - and the name for descending order")
		}
	}
	q.schema = s
	q.known(append(listParameters, also...))
	if err := q.err(); err != nil {
		return resource.ListOptions{}, err
	}
	return opts, nil
}

// listParameters are those of a list.
var listParameters = []string{cursor, limit, filter, sort}

// maxFilters is how many conditions a list may have: as many as a schema.Filter.
const maxFilters = 100

// conditionOf returns the condition that is meant by what is in the outer brackets of a
// parameter: NAME, or NAME][OP, where List judges the OP of a field that there is.
func conditionOf(s *schema.Schema, text string) schema.Condition {
	if i := strings.LastIndex(text, "]["); i >= 0 {
		name, op := text[:i], text[i+2:]
		if slices.Contains(operators, op) || op != "" && filterable(s, name) {
			return schema.Condition{Field: name, Op: op}
		}
	}
	return schema.Condition{Field: text}
}

var operators = []string{"from", "to", "prefix"}

// filterable reports whether a list can be filtered by a field.
func filterable(s *schema.Schema, name string) bool {
	return judge(s, schema.Condition{Field: name}) == nil
}

// judge returns what is wrong with a condition. The resource's own times are judged as
// another date-time.
func judge(s *schema.Schema, condition schema.Condition) error {
	if condition.Field == "resource.createdAt" || condition.Field == "resource.updatedAt" {
		s, condition.Field = schema.Customers(), "createdAt"
	}
	_, err := s.Filter([]schema.Condition{condition})
	return err
}

// lostPlus reports whether a condition cannot have its value, but could have it with + for
// each blank.
func lostPlus(s *schema.Schema, condition schema.Condition) bool {
	text := condition.Value.(string)
	if !strings.Contains(text, " ") || judge(s, condition) == nil {
		return false
	}
	condition.Value = strings.ReplaceAll(text, " ", "+")
	return judge(s, condition) == nil
}

// checkQuery returns a problem with the parameters of the request's query that are not
// known; filter stands for every filter[NAME].
func checkQuery(r *http.Request, known ...string) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	q.known(known)
	return q.err()
}

// maxUnknown bounds how many unknown parameters a problem has, and maxNearMiss how many
// letters of a near miss are wrong.
const (
	maxUnknown  = 20
	maxNearMiss = 2
)

// known notes the parameters that are not known.
func (q *query) known(known []string) { q.unknown(known, true) }

// nearMisses notes the parameters whose names are nearly known ones.
func (q *query) nearMisses(known ...string) { q.unknown(known, false) }

func (q *query) unknown(known []string, all bool) {
	noted := 0
	for _, name := range q.names {
		bare, rest := name, ""
		if i := strings.IndexByte(name, '['); i > 0 && slices.Contains(known, filter) {
			bare, rest = name[:i], name[i:]
		}
		if slices.Contains(known, bare) && (rest == "" || bare == filter) {
			continue
		}
		wrong := "unknown parameter"
		near := nearest(bare, known)
		switch {
		case q.schema != nil && filterable(q.schema, name):
			wrong += ", did you mean filter[" + name + "]?"
		case near == filter && isPlain(rest):
			wrong += ", did you mean filter" + rest + "?"
		case near == filter:
			wrong += ", did you mean filter[NAME]?"
		case near != "":
			wrong += ", did you mean " + near + "?"
		case !all:
			continue
		case len(known) > 0:
			wrong += ", expected one of: " + strings.Join(known, ", ")
		}
		q.about(name, wrong)
		if noted++; noted == maxUnknown {
			return
		}
	}
}

// nearest returns the known name that differs from name only in case and in at most
// maxNearMiss letters, "" if there is none.
func nearest(name string, known []string) string {
	if len(name) > nearmiss.MaxName {
		return ""
	}
	best, least := "", maxNearMiss+1
	for _, k := range known {
		if d := nearmiss.Distance([]rune(strings.ToLower(name)), []rune(strings.ToLower(k)), least-1); d < least {
			best, least = k, d
		}
	}
	return best
}

// isPlain reports whether the name of a parameter can be shown as it is.
func isPlain(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]/~") == ""
}

// A query is the parameters of a request, and what is wrong with them.
type query struct {
	values url.Values
	names  []string // of values, in order
	wrong  []string
	schema *schema.Schema // that a list is filtered by, nil for other requests
}

func parseQuery(r *http.Request) (query, error) {
	if r.URL.RawQuery == "" { // the usual case
		return query{}, nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, badRequest("the query is not valid: expected parameters as name=value, percent-encoded and separated by &")
	}
	names := slices.AppendSeq(make([]string, 0, len(values)), maps.Keys(values))
	slices.Sort(names)
	return query{values: values, names: names}, nil
}

func (q *query) note(wrong string) { q.wrong = append(q.wrong, wrong) }

// about notes what is wrong with a parameter.
func (q *query) about(name, wrong string) {
	if isPlain(name) {
		wrong = name + ": " + wrong
	}
	q.note(wrong)
}

// err returns the problem that was noted, if any.
func (q *query) err() error {
	if len(q.wrong) == 0 {
		return nil
	}
	return badRequest("the query is not valid", q.wrong...)
}

// one returns the value of a parameter that may be given once, and whether it is
// given as it should be.
func (q *query) one(name string) (value string, given bool) {
	switch values := q.values[name]; len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	}
	q.note(name + ": given more than once")
	return "", false
}

// limit returns the number of items in a page, 0 if it is not given.
func (q *query) limit() int {
	text, given := q.one(limit)
	if !given {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text || n < 1 || n > storage.MaxPage {
		q.note("limit: expected an integer from 1 to " + strconv.Itoa(storage.MaxPage))
	}
	return n
}

// included sets what of a change is asked for.
func (q *query) included(opts *resource.ChangeOptions) {
	text, given := q.one(include)
	if !given {
		return
	}
	for part := range strings.SplitSeq(text, ",") {
		switch part {
		case "document":
			opts.Documents = true
		case "patch":
			opts.Patches = true
		default:
			q.note("include: expected document, patch, or both with a comma between them")
			return
		}
	}
}

func (q *query) unknownFields() schema.UnknownFields {
	switch value, given := q.one(ignoreUnknownFields); {
	case !given || value == "false" || value == "" || value == "null":
	case value == "true":
		return schema.IgnoreUnknown
	default:
		q.note(`ignoreUnknownFields: expected "true" or "false", in lower case`)
	}
	return schema.RejectUnknown
}
