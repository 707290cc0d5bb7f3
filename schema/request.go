package schema

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"example.com/resourcekit/internal/jsonmerge"
	"example.com/resourcekit/internal/strictjson"
)

// UnknownFields is the policy for unknown fields.
type UnknownFields int

// The policies for unknown fields.
const (
	// RejectUnknown makes each unknown field a violation. The message has the nearest
	// declared name, if one is close.
	RejectUnknown UnknownFields = iota
	// IgnoreUnknown drops unknown fields and reports them in Document.Dropped.
	IgnoreUnknown
)

// Nulls is the policy for members of objects that are null. Nulls inside arrays are
// values under every policy, and a null on an unknown field is an unknown field.
type Nulls int

// The policies for nulls.
const (
	// DeleteNulls makes null delete the field (RFC 7396, section 2). It is a violation
	// if the field is required, and has no effect if the field is absent. A null also
	// deletes a stored field that is not declared.
	DeleteNulls Nulls = iota
	// RejectNulls makes each null a violation.
	RejectNulls
	// IgnoreNulls removes nulls from the request: for clients that send null for "not
	// set".
	IgnoreNulls
)

// ReadOptions are the policies of one request. A nil *ReadOptions is the zero
// value.
type ReadOptions struct {
	UnknownFields UnknownFields // RejectUnknown unless set
	Nulls         Nulls         // DeleteNulls unless set
	// RequireComplete demands every required field in the request itself, whatever is
	// stored, and judges values that are stored already.
	RequireComplete bool
	// ExternalID, if not empty, is the id of the resource to change. Another id in the
	// request is a violation.
	ExternalID string
}

// Validate returns an error if a policy is not one of its type's constants. o may be nil.
func (o *ReadOptions) Validate() error {
	switch {
	case o == nil:
	case o.UnknownFields < RejectUnknown || o.UnknownFields > IgnoreUnknown:
		return fmt.Errorf("schema: invalid option: UnknownFields(%d)", o.UnknownFields)
	case o.Nulls < DeleteNulls || o.Nulls > IgnoreNulls:
		return fmt.Errorf("schema: invalid option: Nulls(%d)", o.Nulls)
	}
	return nil
}

// Validate returns nil if doc is a complete and valid document, as it judges an insert
// under RejectUnknown and DeleteNulls. It allocates only pooled working memory then,
// unless the schema has rules.
//
// The error is a [*SyntaxError], or that of [Request.Apply].
func (s *Schema) Validate(doc []byte) error {
	if len(s.def.Rules) > 0 { // which judge a merged document
		r, err := s.Read(doc, nil)
		if err != nil {
			return err
		}
		defer r.Close()
		return r.Check()
	}
	w := getWorkspace()
	defer w.put()
	if err := s.parseRequest(&w.merged, doc); err != nil {
		return err
	}
	w.judge.doc = &w.merged
	return w.judge.document(s.root)
}

// parseRequest reads a request into d: an object.
func (s *Schema) parseRequest(d *strictjson.Doc, src []byte) error {
	if err := d.ParseKnown(src, strictjson.MaxDepth, s.root.names); err != nil {
		return err
	}
	if kind := d.Nodes[0].Kind; kind != strictjson.Object {
		return &ValidationError{Violations: []Violation{{"", codeType, "expected object, found " + kind.String()}}}
	}
	return nil
}

// A Request is a document or merge patch that was read, with the policies to judge it
// by. Make one with [Schema.Read]. It refers to the bytes that it was read from, which
// must not change while it is in use. It is not safe for concurrent use.
type Request struct {
	schema *Schema
	opts   ReadOptions
	src    []byte
	id     string

	// The parsed text is in doc, or in nodes after Shrink. If both are nil, src is read
	// again.
	doc    *strictjson.Doc
	marked bool // doc may have marks of an Apply before
	nodes  []strictjson.Node
	blanks bool
	names  *strictjson.Names
}

// Read reads a request: a whole new document, or a merge patch (RFC 7396) for the
// stored one. [Request.Apply] judges it. opts may be nil. Call Close after the last use
// of the request.
//
// The error is a [*SyntaxError]; a [*ValidationError] when the request is not an object;
// or that of [ReadOptions.Validate].
func (s *Schema) Read(request []byte, opts *ReadOptions) (Request, error) {
	r := Request{schema: s, src: request}
	if err := opts.Validate(); err != nil {
		return Request{}, err
	}
	if opts != nil {
		r.opts = *opts
	}
	r.doc = strictjson.Get()
	if err := s.parseRequest(r.doc, request); err != nil {
		r.Close()
		return Request{}, err
	}
	if c, ok := r.doc.Find(0, s.id.hash, s.id.name); ok && r.doc.Nodes[c].Kind == strictjson.String {
		id := r.doc.Text(c)
		if id = id[1 : len(id)-1]; r.doc.Nodes[c].Escapes&strictjson.InValue != 0 {
			id = r.doc.AppendString(nil, c)
		}
		if code, _ := judgeExternalID(id, r.opts.ExternalID); code == "" {
			r.id = string(id)
		}
	}
	return r, nil
}

// ExternalID returns the external id in the request, decoded. It is false when the
// request has none, or one that is not valid or not that of ReadOptions.ExternalID; if
// that is a violation, Apply reports it.
func (r *Request) ExternalID() (id string, ok bool) { return r.id, r.id != "" }

// Close releases the request's memory. The request must not be used afterwards; the
// documents that it returned may be.
func (r *Request) Close() {
	if r.doc != nil {
		strictjson.Put(r.doc)
	}
	*r = Request{}
}

// The parsed form of a shrunk request is at most maxShrunk times as large as its text,
// and alwaysAllowed bytes more.
const (
	maxShrunk     = 2
	alwaysAllowed = 512
)

// Shrink bounds the memory of a request that has to wait: afterwards it takes, with
// its text, at most three times the size of its text and 1 KiB, of memory that it may
// share with other requests. A large request of many small values is read again when
// it is applied.
func (r *Request) Shrink() {
	if r.doc == nil {
		return
	}
	if r.marked { // by an Apply or Check before
		r.doc.Unmark()
		r.marked = false
	}
	if len(r.doc.Nodes)*strictjson.NodeSize <= maxShrunk*len(r.src)+alwaysAllowed {
		r.nodes, r.blanks, r.names = keepNodes(r.doc.Nodes), r.doc.Blanks, r.doc.Names
	}
	strictjson.Put(r.doc)
	r.doc = nil
}

// load returns the parsed request, without marks. Call unload afterwards.
func (r *Request) load() (d *strictjson.Doc, err error) {
	if r.doc != nil {
		if r.marked {
			r.doc.Unmark()
		}
		r.marked = true
		return r.doc, nil
	}
	d = strictjson.Get()
	if r.nodes == nil {
		return d, r.schema.parseRequest(d, r.src)
	}
	d.Load(r.src, r.nodes, r.blanks, r.names)
	return d, nil
}

// unload gives back what load returned if the request was shrunk: there may be many.
func (r *Request) unload(d *strictjson.Doc) {
	if r.doc == nil {
		strictjson.Put(d)
	}
}

// keepNodes returns a copy of the nodes, in memory that small requests share: otherwise
// each item of a batch would allocate.
func keepNodes(nodes []strictjson.Node) []strictjson.Node {
	const shared = 512
	if len(nodes) > shared/8 {
		return slices.Clone(nodes)
	}
	room.Lock()
	defer room.Unlock()
	from := len(room.nodes)
	if cap(room.nodes)-from < len(nodes) {
		room.nodes, from = make([]strictjson.Node, 0, shared), 0
	}
	room.nodes = append(room.nodes, nodes...)
	return room.nodes[from:len(room.nodes):len(room.nodes)]
}

// room is the memory that keepNodes shares out, from its start on. When it is full, a new
// one replaces it; the old one lives as long as a request in it. A pool would drop rooms
// that are almost empty.
var room struct {
	sync.Mutex
	nodes []strictjson.Node
}

// A Document is the result of a request without violations.
type Document struct {
	// Stored is the document to store: the merged one with its defaults filled in. If
	// the request changes nothing, it is the stored document itself.
	Stored []byte
	// Shown is Stored as a reader sees it, as from [Schema.Show]: the same slice as
	// Stored if there is no difference.
	Shown []byte
	// Changed reports whether the request changes anything. Defaults that the stored
	// document lacks are not a change: [Schema.Show] fills them in.
	Changed bool
	// Entries are those of Stored. Before are those of the stored document before the
	// request: the same slice if they are equal, nil on an insert. Both are nil if the
	// schema has no indexes.
	Entries, Before []Entry
	// Dropped are the JSON Pointers (RFC 6901) of the unknown fields that were
	// dropped, in the order of the request, with exact names; except that names in maps
	// which make the path to a field longer than 192 bytes are an ellipsis.
	Dropped []string
}

// Check returns the error of Apply(nil), which judges the request as an insert. It makes
// no document, unless the schema has rules.
func (r *Request) Check() error {
	if r.schema == nil {
		return errors.New("schema: Check of a request that was not read")
	}
	if len(r.schema.def.Rules) > 0 {
		_, err := r.Apply(nil)
		return err
	}
	d, err := r.load()
	defer r.unload(d)
	if err != nil {
		return err
	}
	w := getWorkspace()
	defer w.put()
	w.judge.doc, w.judge.opts = d, r.opts
	return w.judge.document(r.schema.root)
}

// Apply returns the stored document changed by the request (RFC 7396). stored is nil or
// empty on an insert. Apply may be called again with other documents, in a loop that
// retries.
//
// The error is a [*ValidationError] with every violation, first those in the order of
// the request, then the missing fields in the order of the schema; or, if there are none,
// those of the rules in their order. It is a [*CorruptError] when stored is not a JSON
// object, and another error when a [Rule] fails. A request in violation is never merged.
//
// The document shares no memory with the request, except stored, if nothing changed. An
// update without defaults to fill in, fields to hide or fields to report allocates one
// slice, its result, and for the entries of a schema with indexes two, or three and one
// for each that moves; otherwise it takes only pooled working memory.
func (r *Request) Apply(stored []byte) (Document, error) {
	if r.schema == nil {
		return Document{}, errors.New("schema: Apply of a request that was not read")
	}
	var doc Document
	err := r.apply(&doc, stored)
	if err == nil && doc.Changed && len(r.schema.def.Rules) > 0 {
		err = r.schema.judgeRules(doc.Stored, stored)
	}
	if err != nil {
		return Document{}, err
	}
	return doc, nil
}

// apply is Apply without the rules.
func (r *Request) apply(doc *Document, stored []byte) error {
	d, err := r.load()
	defer r.unload(d)
	if err != nil {
		return err // not reached unless the caller has changed the text
	}
	w := getWorkspace()
	defer w.put()
	w.judge.doc, w.judge.opts = d, r.opts
	if len(stored) > 0 {
		if err := r.schema.parseStored(&w.stored, stored); err != nil {
			return err
		}
		w.judge.stored = &w.stored
	}
	if err := w.judge.document(r.schema.root); err != nil {
		return err
	}
	doc.Dropped = w.judge.droppedPointers()
	if len(r.schema.indexed) > 0 {
		doc.Entries, doc.Before = w.entries(r.schema)
	}
	if len(stored) == 0 && !w.judge.nulls && !w.judge.opens && w.judge.omitted == 0 {
		// Merging would copy the request.
		doc.Changed = true
		doc.Stored, doc.Shown = w.result(r.schema.root, d)
		return nil
	}
	merged, changed := w.merge(len(r.src) + len(stored))
	if doc.Changed = changed; !changed {
		doc.Stored, doc.Shown = stored, w.show(r.schema.root, &w.stored)
		return nil
	}
	if len(stored) > 0 && !w.judge.unfilled && !w.judge.resets && w.view.complete(r.schema.root, &w.stored) {
		// As the stored document was complete, so is what became of it.
		doc.Stored = w.keep(merged)
		doc.Shown = doc.Stored
		return nil
	}
	if err := r.schema.parseStored(&w.merged, merged); err != nil {
		return err // not reached: a merge of two objects is one
	}
	doc.Stored, doc.Shown = w.result(r.schema.root, &w.merged)
	return nil
}

// A workspace is the working memory of one call.
type workspace struct {
	judge          judge
	view           view
	stored, merged strictjson.Doc
	buffer         []byte // of merge
	values         []byte // for indexes and conditions
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// maxPooled bounds the scratch memory that a pooled workspace may keep, in bytes or
// elements.
const maxPooled = 1 << 16

func getWorkspace() *workspace { return workspaces.Get().(*workspace) }

func (w *workspace) put() {
	if cap(w.buffer) > maxPooled {
		w.buffer = nil
	}
	if cap(w.values) > maxPooled {
		w.values = nil
	}
	if cap(w.judge.seen) > maxPooled {
		w.judge.seen = nil
	}
	if max(cap(w.judge.at), cap(w.judge.scratch), cap(w.view.at)) > maxPooled {
		return
	}
	w.judge.reset()
	w.view.doc = nil
	w.stored.Reset()
	w.merged.Reset()
	workspaces.Put(w)
}

// merge returns the stored document changed by the request, in w.buffer, and whether
// it is another value. It has at most size bytes.
func (w *workspace) merge(size int) (merged []byte, changed bool) {
	if size > maxPooled {
		w.buffer = make([]byte, 0, size)
	}
	w.buffer, changed = jsonmerge.Append(w.buffer[:0], w.judge.stored, w.judge.doc)
	return w.buffer, changed
}

// entries returns the entries of the merged document and of the stored one.
func (w *workspace) entries(s *Schema) (after, before []Entry) {
	request, stored := w.judge.doc, w.judge.stored
	if stored == nil {
		return w.entriesOf(s, request, nil), nil
	}
	before = w.entriesOf(s, nil, stored)
	after = before
	for i := range s.indexed {
		x := &s.indexed[i]
		if member(request, 0, x.path[0]) == none {
			continue
		}
		w.values = x.appendValue(w.values[:0], request, stored)
		if bytes.Equal(w.values, before[i].Value) {
			continue
		}
		if &after[0] == &before[0] {
			after = slices.Clone(before)
		}
		after[i] = x.entry(bytes.Clone(w.values))
	}
	return after, before
}

// entriesOf returns the entries of the merged document, see find.
func (w *workspace) entriesOf(s *Schema, request, stored *strictjson.Doc) []Entry {
	var ends [maxIndexed]int
	w.values = w.values[:0]
	for i := range s.indexed {
		w.values = s.indexed[i].appendValue(w.values, request, stored)
		ends[i] = len(w.values)
	}
	list, values, from := make([]Entry, len(s.indexed)), bytes.Clone(w.values), 0
	for i, end := range ends[:len(list)] {
		list[i], from = s.indexed[i].entry(values[from:end:end]), end
	}
	return list
}

// keep returns a text in memory of its own. A large one in w.buffer, which is what a
// merge leaves there, keeps that memory.
func (w *workspace) keep(text []byte) []byte {
	if merged := w.buffer; len(text) > maxPooled && len(merged) == len(text) && &merged[0] == &text[0] && len(merged) >= cap(merged)-cap(merged)/4 {
		w.buffer = nil
		return merged
	}
	kept := make([]byte, len(text))
	copy(kept, text)
	return kept
}

// result returns document d with its defaults filled in, and as a reader sees it.
func (w *workspace) result(root *object, d *strictjson.Doc) (stored, shown []byte) {
	w.view.look(root, d)
	switch {
	case w.view.unfilled:
		stored = w.view.append(make([]byte, 0, len(d.Src)+64), root, 0, false)
	case d.Blanks:
		stored = strictjson.AppendCompact(make([]byte, 0, len(d.Src)), d.Src)
	default:
		stored = w.keep(d.Src)
	}
	shown = stored
	if w.view.hidden > 0 {
		shown = w.view.append(make([]byte, 0, len(stored)), root, 0, true)
	}
	return stored, shown
}

// parseStored reads a stored document. The error is a *CorruptError.
func (s *Schema) parseStored(d *strictjson.Doc, src []byte) error {
	if err := d.ParseKnown(src, strictjson.MaxDepth, s.root.names); err != nil {
		return &CorruptError{Err: err}
	}
	if kind := d.Nodes[0].Kind; kind != strictjson.Object {
		return &CorruptError{Err: errors.New("expected object, found " + kind.String())}
	}
	return nil
}
