package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/resourcekit/schema"
)

// A Column is a column of CSV that is not a field.
type Column struct {
	Number int // the first is 1
	// Field is the field that the column was probably meant to be; "" when none
	// is near. It is looked for in the first 100 columns that are not a field.
	Field string
	// Name is the column's name if there is a Field. Otherwise it is "": the first
	// row of a text without a header is a record.
	Name string
}

// String returns a text such as: column 2 "Email" is not a field, did you mean "email"?
func (c Column) String() string {
	if c.Field == "" {
		return fmt.Sprintf("column %d is not a field", c.Number)
	}
	return fmt.Sprintf("column %d %q is not a field, did you mean %q?", c.Number, c.Name, c.Field)
}

// A HeaderError says what is wrong with the header row of a CSV text.
type HeaderError struct {
	Unknown []Column // the columns that are not a field
	text    string
}

// Error returns everything that is wrong, bounded in length.
func (e *HeaderError) Error() string { return e.text }

func isComma(c rune) bool {
	return c == '\t' || ' ' < c && c < 0x7f && c != '"' && !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z')
}

// commas are the separators that are recognised. Of those that a header has equally
// often the first counts.
const commas = ",;\t"

// recognise sets the separator, unless it is known, and takes a line "sep=;" away.
func (t *CSV) recognise() {
	line := t.peekLine()
	text := strings.Trim(strings.TrimRight(string(line), "\r\n"), `"`)
	if sep, ok := strings.CutPrefix(strings.ToLower(text), "sep="); ok && len(sep) == 1 && isComma(rune(sep[0])) {
		_, _ = t.rows.in.Discard(len(line))
		t.rows.lines++
		if t.Comma == 0 {
			t.Comma = rune(sep[0])
		}
		return
	}
	if t.Comma != 0 {
		return
	}
	var most int
	for _, comma := range commas {
		count, inQuotes := 0, false
		for _, c := range string(line) {
			if inQuotes = inQuotes != (c == '"'); c == comma && !inQuotes {
				count++
			}
		}
		if t.Comma == 0 || count > most {
			t.Comma, most = comma, count
		}
	}
}

// peekLine returns the first line that is not blank, as far as it fits into the
// reader's memory, without reading it.
func (t *CSV) peekLine() []byte {
	for n := 1; ; {
		_, err := t.rows.in.Peek(n)
		text, _ := t.rows.in.Peek(t.rows.in.Buffered())
		blank := len(text) - len(bytes.TrimLeft(text, "\r\n"))
		if end := bytes.IndexByte(text[blank:], '\n'); end >= 0 {
			return text[:blank+end+1]
		}
		if n = len(text) + 1; err != nil || n > t.rows.in.Size() {
			return text
		}
	}
}

const (
	maxProblems  = 20  // how many columns or cells an error names
	maxSuggested = 100 // for how many columns the field is looked for that was meant
)

// problems are what is wrong with columns or cells: the first ones, and how many more.
type problems struct {
	shown []string
	more  int
}

func (p *problems) add(format string, args ...any) {
	if len(p.shown) == maxProblems {
		p.more++
		return
	}
	p.shown = append(p.shown, fmt.Sprintf(format, args...))
}

// texts returns nil when nothing is wrong.
func (p *problems) texts() []string {
	if p.more > 0 {
		return append(p.shown, fmt.Sprintf("and %d more", p.more))
	}
	return p.shown
}

// setColumns sets the columns by their names.
func (t *CSV) setColumns(names []string, s *schema.Schema, opts *CSVOptions) *HeaderError {
	def := s.Definition()
	fields := make(map[string]schema.Field, len(def.Fields))
	var known []string
	for _, f := range def.Fields {
		fields[f.Name] = f
		known = append(known, f.Name)
	}
	var found problems
	var unknown []Column
	last := len(names)
	for last > 0 && names[last-1] == "" {
		last--
	}
	columnOf := make(map[string]int) // by field
	unmapped := make(map[string]bool, len(opts.Columns))
	for name := range opts.Columns {
		unmapped[name] = true
	}
	for i, name := range names {
		fieldName := name
		if mapped, ok := opts.Columns[name]; ok {
			fieldName = mapped
			delete(unmapped, name)
		}
		field, declared := fields[fieldName]
		switch {
		case i >= last && opts.UnknownFields != schema.IgnoreUnknown:
			t.columns = append(t.columns, column{empty: true})
			continue
		case !declared && i >= last: // it has no name for a message
		case !declared:
			column := Column{Number: i + 1}
			if len(unknown) < maxSuggested {
				if column.Field = s.Suggest(name); column.Field != "" {
					column.Name = name
				}
			}
			unknown = append(unknown, column)
		case field.Type == schema.Object || field.Type == schema.Array:
			found.add("column %d: a cell cannot be an %s", i+1, field.Type)
		case columnOf[field.Name] > 0:
			found.add("columns %d and %d are both %s", columnOf[field.Name], i+1, field.Name)
		}
		columnOf[fieldName] = i + 1
		quoted, _ := json.Marshal(fieldName) // of a string it cannot fail
		t.columns = append(t.columns, column{field: field, name: append(quoted, ':'), skip: !declared})
	}
	for _, name := range slices.Sorted(maps.Keys(opts.Columns)) {
		if _, ok := fields[opts.Columns[name]]; !ok {
			found.add("%q is not a field of %s", opts.Columns[name], s.Name())
		} else if unmapped[name] {
			found.add("no column has the name %q", name)
		}
	}
	for i := range unknown {
		if columnOf[unknown[i].Field] > 0 { // it has a column, and so was not meant
			unknown[i] = Column{Number: unknown[i].Number}
		}
	}
	if opts.UnknownFields == schema.IgnoreUnknown {
		t.Ignored, unknown = unknown, nil
	}
	missesID := columnOf[def.ExternalID] == 0
	for _, column := range unknown {
		missesID = missesID && column.Field != def.ExternalID
		found.add("%v", column)
	}
	wrong := found.texts()
	if unknown != nil {
		wrong = append(wrong, fmt.Sprintf("expected fields of %s: %s", s.Name(), strings.Join(known, ", ")))
	}
	if missesID {
		wrong = append(wrong, fmt.Sprintf("no column is %s, the external id", def.ExternalID))
	}
	if wrong == nil {
		return nil
	}
	if strings.ContainsRune(strings.Join(names, ""), 0) {
		wrong = []string{"it holds NUL bytes: UTF-16 needs a byte order mark"}
	}
	return &HeaderError{Unknown: unknown, text: strings.Join(wrong, "; ")}
}
