package schema

import (
	"errors"

	"example.com/resourcekit/internal/strictjson"
)

// UnknownFields says what becomes of unknown fields.
type UnknownFields int

// The policies for unknown fields. Any other value is taken for the zero value.
const (
	// RejectUnknown makes each unknown field a violation, with the nearest
	// declared name when there is one that is close.
	RejectUnknown UnknownFields = iota
	// IgnoreUnknown drops unknown fields and reports them in Document.Dropped.
	IgnoreUnknown
)

// Nulls says what a null does that stands where a field could. Nulls inside
// arrays are values under every policy, and a null on an unknown field is an
// unknown field.
type Nulls int

// The policies for nulls. Any other value is taken for the zero value.
const (
	// DeleteNulls makes null delete the field (RFC 7396, section 2): a
	// violation if the field is required, no effect if it is absent. A null
	// also deletes a stored field that is not declared.
	DeleteNulls Nulls = iota
	// RejectNulls makes each null a violation.
	RejectNulls
	// IgnoreNulls takes nulls out of the request, for clients that send null
	// for what they have not set.
	IgnoreNulls
)

// CheckOptions are the policies of one call. A nil *CheckOptions is the zero
// value.
type CheckOptions struct {
	UnknownFields UnknownFields // RejectUnknown unless set
	Nulls         Nulls         // DeleteNulls unless set
	// RequireComplete wants every required field in the request itself,
	// whatever is stored.
	RequireComplete bool
	// ExternalID, if not empty, is the id of the resource that is to be
	// changed. A request that carries another one is in violation.
	ExternalID string
}

// Validate reports whether doc is a complete and valid document: what an insert
// under RejectUnknown and DeleteNulls would take. When it is, nothing is allocated
// beside pooled working memory.
//
// The error is a [*SyntaxError] or a [*ValidationError] that holds every
// violation.
func (s *Schema) Validate(doc []byte) error {
	w := getWalk()
	defer putWalk(w)
	if err := w.parseRequest(doc); err != nil {
		return err
	}
	w.object(s.root, 0, none, false)
	if w.wrong == 0 && w.strayNulls == 0 && !w.lackTop && !w.lackNested && !w.invisible {
		return nil
	}
	w.collectAll(s.root, nil)
	return w.validationError()
}

// parseRequest reads a request into w.doc: an object.
func (w *walk) parseRequest(src []byte) error {
	if err := w.doc.Parse(src, strictjson.MaxDepth); err != nil {
		offset, reason := syntax(err)
		return &SyntaxError{Offset: offset, Reason: reason}
	}
	if kind := w.doc.Nodes[0].Kind; kind != strictjson.Object {
		return &ValidationError{Violations: []Violation{{"", CodeType, "want object, found " + kind.String()}}}
	}
	return nil
}

// syntax takes apart what Parse returned.
func syntax(err error) (offset int, reason string) {
	var s *strictjson.SyntaxError
	if errors.As(err, &s) {
		return s.Offset, s.Reason
	}
	return 0, err.Error()
}

// collectAll goes through the request again, with what is stored: nil when
// nothing is.
func (w *walk) collectAll(root *object, stored *strictjson.Doc) {
	w.collect, w.insert, w.stored = true, stored == nil, stored
	node := none
	if stored != nil {
		node = 0
	}
	w.object(root, 0, node, false)
	w.missing(root, 0, node, false)
}

// validationError returns what collectAll found, or nil.
func (w *walk) validationError() error {
	if len(w.violations) == 0 {
		return nil
	}
	return &ValidationError{Violations: w.violations, More: w.more}
}

// A Checked is a request that has been read once. It refers to the request's
// bytes, which must not change while it is in use. Its methods do not change
// it, and may be called at the same time. Make one with [Schema.Check].
type Checked struct {
	schema  *Schema
	opts    CheckOptions
	request []byte
	patch   []byte
	id      string

	// What is known before the stored document is; see walk.
	wrong      bool
	strayNulls bool
	unknown    bool
	lackTop    bool
	lackNested bool
	invisible  bool
}

// Check reads a request, a merge patch (RFC 7396) or a whole new document,
// before it is known what is stored. opts may be nil.
//
// The error is a [*SyntaxError], or a [*ValidationError] when the request is not
// an object. Every other violation is kept and comes out of [Checked.Finish].
func (s *Schema) Check(request []byte, opts *CheckOptions) (Checked, error) {
	w := getWalk()
	defer putWalk(w)
	if err := w.parseRequest(request); err != nil {
		return Checked{}, err
	}
	if opts != nil {
		w.opts = *opts
		if w.opts.Nulls != RejectNulls && w.opts.Nulls != IgnoreNulls {
			w.opts.Nulls = DeleteNulls
		}
	}
	w.object(s.root, 0, none, false)
	c := Checked{
		schema: s, opts: w.opts, request: request, patch: request,
		wrong: w.wrong > 0, strayNulls: w.strayNulls > 0, unknown: w.unknown > 0,
		lackTop: w.lackTop, lackNested: w.lackNested, invisible: w.invisible,
	}
	if w.marked > 0 {
		c.patch = appendUnmarked(make([]byte, 0, len(request)), &w.doc, 0)
	}
	if w.hasID {
		c.id = w.stringValue(w.id)
	}
	return c, nil
}

// Patch returns what to merge into the stored document: the request without
// what the policies drop, compact; or the request itself when nothing is
// dropped. The caller must not change it.
//
// Under DeleteNulls the nulls of undeclared fields are still in it. They delete
// what is stored by that name, and change nothing where nothing is.
func (c *Checked) Patch() []byte { return c.patch }

// ExternalID returns the external id that the request carries, decoded. It is
// false when the request has none that is valid; if it has to have one, Finish
// tells why.
func (c *Checked) ExternalID() (id string, ok bool) { return c.id, c.id != "" }

// A Document is the outcome of a request without violations.
type Document struct {
	// Stored is the merged document with its defaults filled in: what to
	// store. It is the merged document itself when there was nothing to fill.
	Stored []byte
	// Shown is Stored as a reader sees it, as [Schema.Show] gives it: the same
	// slice as Stored when there is no difference.
	Shown []byte
	// Dropped are the JSON Pointers (RFC 6901) of the unknown fields that
	// were dropped, in the order of the request, with exact names.
	Dropped []string
}

// Finish completes the check when the stored document is known. stored is nil,
// or empty, when there is none, as on an insert; pass nil, too, when the request
// has no external id, and all missing fields are listed. merged is the stored
// document changed by c.Patch() by the rules of RFC 7396; it is not read when
// there are violations.
//
// The error is a [*ValidationError] that holds every violation, in the order of
// the request, and then the missing fields in the order of the schema; or a
// [*CorruptError] when stored or merged is not a JSON object.
//
// Finish may be called again, with other documents, as in a loop that retries.
// When there is nothing to fill, to hide or to report, nothing is allocated beside
// pooled working memory.
func (c *Checked) Finish(stored, merged []byte) (Document, error) {
	if c.schema == nil {
		return Document{}, errors.New("schema: Finish of a request that was not checked")
	}
	if len(stored) > 0 {
		if err := looksLikeObject(stored); err != nil {
			return Document{}, err
		}
	}
	w := getWalk()
	defer putWalk(w)
	var dropped []string
	absent := len(stored) == 0
	if c.wrong || c.strayNulls || c.unknown || c.lackNested || absent && (c.lackTop || c.invisible) {
		if err := w.parseRequest(c.request); err != nil {
			return Document{}, err // not reached while the caller leaves the request alone
		}
		w.opts = c.opts
		if absent {
			w.collectAll(c.schema.root, nil)
		} else {
			d := strictjson.Get()
			defer strictjson.Put(d)
			if err := parseStored(d, stored); err != nil {
				return Document{}, err
			}
			w.collectAll(c.schema.root, d)
		}
		if err := w.validationError(); err != nil {
			return Document{}, err
		}
		dropped = w.droppedPointers()
		w.reset()
	}
	if err := parseStored(&w.doc, merged); err != nil {
		return Document{}, err
	}
	w.look(c.schema.root, 0)
	doc := Document{Stored: merged, Dropped: dropped}
	var err error
	if w.unfilled {
		if doc.Stored, err = w.fill(c.schema.root, 0, merged); err != nil {
			return Document{}, err
		}
	}
	if doc.Shown = doc.Stored; w.hidden > 0 || w.doc.Blanks {
		if doc.Shown, err = w.show(c.schema.root); err != nil {
			return Document{}, err
		}
	}
	return doc, nil
}

// parseStored reads a document that should be in order.
func parseStored(d *strictjson.Doc, src []byte) error {
	if err := d.Parse(src, strictjson.MaxDepth); err != nil {
		offset, reason := syntax(err)
		return &CorruptError{Offset: offset, Reason: reason}
	}
	if n := &d.Nodes[0]; n.Kind != strictjson.Object {
		return &CorruptError{Offset: int(n.Start), Reason: "want object, found " + n.Kind.String()}
	}
	return nil
}

// looksLikeObject is the cheap part of parseStored, for a stored document that
// is otherwise not needed: a merge would start anew from a value that is no
// object, and so hide that something is wrong.
func looksLikeObject(src []byte) error {
	for i, b := range src {
		switch b {
		case ' ', '\t', '\n', '\r':
		case '{':
			return nil
		default:
			return &CorruptError{Offset: i, Reason: "want object, found something else"}
		}
	}
	return &CorruptError{Offset: len(src), Reason: "want object, found only blanks"}
}
