package storagetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// sketch is a whole store that is as simple as can be: a map, sorted for each page, a
// slice of changes, and a journal of calls if there is a file. It is made to be wrong: a
// mistake is a branch at the place where an author could make it.
type sketch struct {
	mu       sync.Mutex
	mistake  string
	file     *os.File // nil: in memory alone
	closed   bool
	records  map[storage.Key]sketched
	log      []storage.Change
	floor    storage.Cursor // of the last change that Trim removed
	secret   []byte
	served   int         // records of a walk so far, for one mistake
	redacted []uuid.UUID // IDs of a redaction that is not finished, for another
}

type sketched struct {
	rec     storage.Record
	entries []storage.Entry
}

// journaled is one line of the file: a call, and what it found out by chance.
type journaled struct {
	Writes []storage.Write
	Set    bool // Writes are those of SetEntries
	Redact *redaction
	Trim   *time.Time
	End    storage.Cursor  // of Trim
	Floor  *storage.Cursor // the first line
	Secret []byte
}

type redaction struct {
	Key      storage.Key
	Note     storage.Note
	Revision storage.Revision // of the first change that it adds
	Added    bool             // the second half of one mistake
}

// openSketch opens the store in a file; an empty path is a store in memory.
func openSketch(path, mistake string) (*sketch, error) {
	s := &sketch{mistake: mistake, records: make(map[storage.Key]sketched)}
	first := journaled{Floor: &storage.Cursor{Position: 1, Revision: storage.NextRevision(0)}, Secret: []byte(uuid.NewString())}
	if path == "" {
		s.apply(first)
		return s, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lines, size := bufio.NewReader(file), int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // a last line without its end was never acknowledged
			break
		}
		var j journaled
		if err := json.Unmarshal(line, &j); err != nil {
			return nil, err
		}
		s.apply(j)
		size += int64(len(line))
	}
	if err := file.Truncate(size); err != nil {
		return nil, err
	}
	if _, err := file.Seek(size, io.SeekStart); err != nil {
		return nil, err
	}
	s.file = file
	if size == 0 {
		s.commit(first)
		return s, nil
	}
	s.forget()
	return s, nil
}

// forget makes the mistakes of a store that is opened.
func (s *sketch) forget() {
	for key, one := range s.records {
		switch {
		case s.wrong("forgets entries when it is opened"):
			s.records[key] = sketched{rec: one.rec}
			return
		case s.wrong("forgets which values are taken when it is opened"):
			for i := range one.entries {
				one.entries[i].Unique = false
			}
		}
	}
	switch n := len(s.log); {
	case s.wrong("forgets a change when it is opened") && n > 0:
		s.log = s.log[:n-1]
	case s.wrong("forgets what Trim removed when it is opened") && n > 0:
		s.floor = storage.Cursor{Position: s.log[0].Cursor.Position - 1, Revision: 1}
	case s.wrong("makes another key of redacted ids when it is opened"):
		s.secret = []byte(uuid.NewString())
	case s.wrong("begins another log when it is opened"):
		s.log, s.floor = nil, storage.Cursor{Position: 1, Revision: storage.NextRevision(0)}
	}
}

// commit writes a call to the journal and makes it.
func (s *sketch) commit(j journaled) []error {
	for i, w := range j.Writes { // as stored; JSON has no year 10000
		rec := &j.Writes[i].Record
		if rec.CreatedAt, rec.UpdatedAt = sketchTime(rec.CreatedAt), sketchTime(rec.UpdatedAt); w.Expect != 0 {
			rec.CreatedAt = time.Time{} // the stored one stays
		}
	}
	if s.file != nil {
		line, err := json.Marshal(j)
		if err == nil {
			_, err = s.file.Write(append(line, '\n'))
		}
		if err != nil {
			panic(err)
		}
	}
	return s.apply(j)
}

func (s *sketch) apply(j journaled) (errs []error) {
	switch {
	case j.Floor != nil:
		s.floor, s.secret = *j.Floor, j.Secret
	case j.Redact != nil:
		s.redact(*j.Redact)
	case j.Trim != nil:
		s.trim(*j.Trim, j.End)
	}
	errs = make([]error, len(j.Writes))
	for i, w := range j.Writes {
		errs[i] = s.write(w, j.Set)
	}
	return errs
}

func (s *sketch) wrong(mistake string) bool { return s.mistake == mistake }

// lapse lets others in if this is the mistake.
func (s *sketch) lapse(mistake string) {
	if s.wrong(mistake) {
		s.mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
		s.mu.Lock()
	}
}

// begin starts a call. It locks the store if there is no error.
func (s *sketch) begin(check error) error {
	if check != nil {
		return check
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return storage.ErrClosed
	}
	return nil
}

// write makes one write, or one SetEntries.
func (s *sketch) write(w storage.Write, set bool) error {
	key := w.Record.Key
	old := s.records[key]
	if s.wrong("sets entries of absent keys") && set && old.rec.Revision == 0 {
		s.records[key] = sketched{storage.Record{Key: key}, w.Entries}
		return nil
	}
	if old.rec.Revision != w.Expect {
		if s.wrong("takes the entries of a write that conflicts") && old.rec.Revision != 0 {
			s.records[key] = sketched{old.rec, w.Entries}
		}
		if s.wrong("logs writes that conflict") {
			s.note(w, old.rec)
		}
		return storage.ErrConflict
	}
	if index := s.taken(w); index != 0 {
		if s.wrong("removes the entries of a record whose new value is taken") {
			s.records[key] = sketched{old.rec, nil}
		}
		if s.wrong("logs writes whose value is taken") {
			s.note(w, old.rec)
		}
		err := error(&storage.NotUniqueError{Index: index})
		if s.wrong("tells the value that is taken") {
			err = fmt.Errorf("%w: %s", err, w.Entries[len(w.Entries)-2].Value)
		}
		return err
	}
	rec, entries := w.Record, slices.Clone(w.Entries)
	if old.rec.Revision != 0 {
		rec.ID, rec.CreatedAt = old.rec.ID, old.rec.CreatedAt
	}
	switch {
	case s.wrong("keeps entries that an update does not have") && !w.Delete:
		entries = storage.SortEntries(append(entries, old.entries...))
	case s.wrong("an update keeps the entries") && w.Expect != 0 && !set:
		entries = old.entries
	case s.wrong("an update without entries keeps those of before") && len(entries) == 0:
		entries = old.entries
	case s.wrong("cuts values"):
		for i, e := range entries {
			entries[i].Value = e.Value[:min(len(e.Value), 255)]
		}
	case s.wrong("keeps one entry of each index"):
		entries = slices.CompactFunc(entries, func(a, b storage.Entry) bool { return a.Index == b.Index })
	case s.wrong("does not see that an entry becomes unique"):
		for i, e := range entries {
			for _, before := range old.entries {
				if before.Compare(e) == 0 {
					entries[i].Unique = before.Unique
				}
			}
		}
	}
	if set {
		switch {
		case s.wrong("SetEntries gives a new revision"):
			old.rec.Revision++
		case s.wrong("SetEntries touches the time"):
			old.rec.UpdatedAt = old.rec.UpdatedAt.Add(time.Minute)
		case s.wrong("SetEntries adds entries"):
			entries = storage.SortEntries(append(entries, old.entries...))
		case s.wrong("logs SetEntries"):
			s.note(storage.Write{Record: old.rec, Expect: old.rec.Revision, Note: &storage.Note{}}, old.rec)
		}
		s.records[key] = sketched{old.rec, entries}
		return nil
	}
	s.note(w, old.rec)
	if w.Delete {
		delete(s.records, key)
		if s.wrong("keeps the entries of deleted records") {
			s.records[key] = sketched{storage.Record{Key: key}, old.entries}
		}
		return nil
	}
	s.records[key] = sketched{rec, entries}
	return nil
}

func sketchTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// taken returns the index of an entry that another record has, 0 if there is none.
func (s *sketch) taken(w storage.Write) uint32 {
	for _, e := range w.Entries {
		if !e.Unique || s.wrong("values are not unique") {
			continue
		}
		for key, other := range s.records {
			if key.Scope() != w.Record.Key.Scope() && !s.wrong("a value is taken in all scopes") {
				continue
			}
			for _, o := range other.entries {
				same := o.Compare(e) == 0
				if s.wrong("a value is taken in all indexes") {
					same = bytes.Equal(o.Value, e.Value)
				}
				unique := o.Unique || s.wrong("entries that are not unique take the value")
				own := key == w.Record.Key && !s.wrong("a record cannot keep its own value")
				if same && unique && !own {
					if s.wrong("names the first index") {
						return w.Entries[0].Index
					}
					return e.Index
				}
			}
		}
	}
	return 0
}

// note logs a write that is applied.
func (s *sketch) note(w storage.Write, old storage.Record) {
	note := w.Note
	if s.wrong("logs writes without a note") && note == nil {
		note = &storage.Note{}
	}
	if note == nil || s.wrong("does not log deletes") && w.Delete {
		return
	}
	c := storage.Change{
		Cursor:  storage.Cursor{Position: s.end().Position + 1, Revision: w.Record.Revision},
		Key:     w.Record.Key,
		ID:      old.ID,
		Before:  w.Expect,
		Deleted: w.Delete,
		Note:    *note,
	}
	if old.Revision == 0 {
		c.ID = w.Record.ID
	}
	c.Note.Time = sketchTime(note.Time)
	switch {
	case s.wrong("logs times to the second"):
		c.Note.Time = c.Note.Time.Truncate(time.Second)
	case s.wrong("logs documents as text"):
		c.Note.After = bytes.ToValidUTF8(note.After, []byte("?"))
	case s.wrong("logs no ID of a delete") && w.Delete:
		c.ID = uuid.Nil
	case s.wrong("logs the ID of the write") && !w.Delete:
		c.ID = w.Record.ID
	case s.wrong("does not log what was before"):
		c.Before = 0
	}
	if n := len(s.log); s.wrong("swaps two changes now and then") && n > 0 && rand.IntN(4) == 0 {
		s.log = append(s.log, c)
		s.log[n-1].Cursor.Position, s.log[n].Cursor.Position = s.log[n].Cursor.Position, s.log[n-1].Cursor.Position
		s.log[n-1], s.log[n] = s.log[n], s.log[n-1]
		return
	}
	s.log = append(s.log, c)
}

func (s *sketch) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := s.begin(storage.CheckKey(ctx, key)); err != nil {
		return storage.Record{}, err
	}
	defer s.mu.Unlock()
	if r := s.records[key].rec; r.Revision != 0 {
		return r, nil
	}
	return storage.Record{}, storage.ErrNotFound
}

func (s *sketch) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	if err := s.begin(storage.CheckKeys(ctx, keys)); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	records := make([]storage.Record, len(keys))
	for i, key := range keys {
		records[i] = s.records[key].rec
		records[i].Key = key
	}
	return records, nil
}

func (s *sketch) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if err := s.begin(storage.CheckWrites(ctx, writes)); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	order := make([]int, len(writes)) // in which the writes are made
	for i := range writes {
		order[i] = i
	}
	if s.wrong("makes the writes of a call in the order of the keys") {
		slices.SortFunc(order, func(a, b int) int { return writes[a].Record.Key.Compare(writes[b].Record.Key) })
	}
	errs := make([]error, len(writes))
	if s.wrong("checks all values of a call before it makes the first write") || s.wrong("refuses a whole call for one value") {
		for i, w := range writes {
			if index := s.taken(w); index != 0 {
				errs[i] = &storage.NotUniqueError{Index: index}
			}
		}
		if s.wrong("refuses a whole call for one value") && errors.Join(errs...) != nil {
			return slices.Repeat([]error{errors.Join(errs...)}, len(errs)), nil
		}
	}
	if s.wrong("frees all values of a call before it makes the first write") {
		for _, w := range writes {
			if old := s.records[w.Record.Key]; old.rec.Revision != 0 && old.rec.Revision == w.Expect {
				s.records[w.Record.Key] = sketched{rec: old.rec}
			}
		}
	}
	for _, i := range order {
		if errs[i] != nil {
			continue
		}
		w := writes[i]
		if s.wrong("checks that a value is free before it takes its lock") {
			if index := s.taken(w); index != 0 {
				errs[i] = &storage.NotUniqueError{Index: index}
				continue
			}
			s.lapse(s.mistake)
			for k := range w.Entries {
				w.Entries[k].Unique = false
			}
		}
		if s.wrong("replaces the entries that it read before it took its lock") && len(w.Entries) > 0 {
			before := s.records[w.Record.Key].entries
			s.lapse(s.mistake)
			var others []storage.Entry // those that came since stay
			for _, e := range s.records[w.Record.Key].entries {
				if !slices.ContainsFunc(before, func(b storage.Entry) bool { return b.Compare(e) == 0 }) {
					others = append(others, e)
				}
			}
			w.Entries = storage.SortEntries(slices.Concat(w.Entries, others))
		}
		if s.wrong("writes entries only if they differ from those it read before") {
			unmoved := slices.EqualFunc(s.records[w.Record.Key].entries, w.Entries, func(a, b storage.Entry) bool { return a.Compare(b) == 0 })
			if s.lapse(s.mistake); unmoved {
				w.Entries = s.records[w.Record.Key].entries
			}
		}
		if s.wrong("writes the record and then its entries") {
			first := w
			first.Entries = s.records[w.Record.Key].entries
			if errs[i] = s.commit(journaled{Writes: []storage.Write{first}})[0]; errs[i] == nil && !w.Delete {
				s.lapse(s.mistake)
				s.commit(journaled{Writes: []storage.Write{{Record: first.Record, Expect: first.Record.Revision, Entries: w.Entries}}, Set: true})
			}
			continue
		}
		if s.wrong("logs a write after it is done") && w.Note != nil {
			first := w
			first.Note = nil
			id := s.records[w.Record.Key].rec
			if errs[i] = s.commit(journaled{Writes: []storage.Write{first}})[0]; errs[i] == nil {
				s.lapse(s.mistake)
				s.note(w, id)
			}
			continue
		}
		errs[i] = s.commit(journaled{Writes: []storage.Write{w}})[0]
		if errs[i] == nil && s.wrong("makes a write twice when it can") && !w.Delete {
			w.Expect, w.Record.Revision = w.Record.Revision, w.Record.Revision+1
			s.commit(journaled{Writes: []storage.Write{w}})
		}
	}
	if slices.IndexFunc(errs, func(err error) bool { return err != nil }) < 0 {
		return nil, nil
	}
	return errs, nil
}

func (s *sketch) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckList(ctx, scope, r)
	if err := s.begin(err); err != nil {
		return storage.Page{}, err
	}
	defer s.mu.Unlock()
	var page storage.Page
	for key, one := range s.records {
		if key.Scope() == scope && one.rec.Revision != 0 {
			page.Records = append(page.Records, one.rec)
			page.Values = append(page.Values, nil)
		}
	}
	page = s.cut(page, r)
	page.Values = nil
	return page, nil
}

func (s *sketch) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	limit := r.Limit
	r, err := storage.CheckLookup(ctx, scope, index, r)
	if err := s.begin(err); err != nil {
		return storage.Page{}, err
	}
	defer s.mu.Unlock()
	if s.wrong("has no largest page") {
		r.Limit = limit
	}
	if s.wrong("leaves the upper bound in") && r.To != nil {
		r.To = append(slices.Clone(r.To), 0)
	}
	if s.wrong("takes an empty bound for none") && len(r.To) == 0 {
		r.To = nil
	}
	var page storage.Page
	for key, one := range s.records {
		if key.Scope() != scope && !s.wrong("finds records of other scopes") {
			continue
		}
		for _, e := range one.entries {
			if (e.Index == index || s.wrong("finds records of other indexes")) &&
				bytes.Compare(e.Value, r.From) >= 0 && (r.To == nil || bytes.Compare(e.Value, r.To) < 0) {
				page.Records = append(page.Records, one.rec)
				page.Values = append(page.Values, e.Value)
			}
		}
	}
	page = s.cut(page, r)
	if s.wrong("reads the records of a look-up after their entries") {
		s.lapse(s.mistake)
		for i, rec := range page.Records {
			if now, ok := s.records[rec.Key]; ok {
				page.Records[i] = now.rec
			}
		}
	}
	if s.wrong("returns no values") {
		page.Values = nil
	}
	return page, nil
}

// cut sorts what was found, and returns the part that is the page.
func (s *sketch) cut(all storage.Page, r storage.Range) storage.Page {
	order := make([]int, len(all.Records))
	for i := range order {
		order[i] = i
	}
	at := func(i int) storage.Position {
		return storage.Position{Value: all.Values[i], ExternalID: all.Records[i].Key.ExternalID}
	}
	compare := func(a, b storage.Position) int {
		c := bytes.Compare(a.Value, b.Value)
		switch {
		case s.wrong("sorts values as text"):
			c = strings.Compare(strings.ToLower(string(a.Value)), strings.ToLower(string(b.Value)))
		case s.wrong("sorts values by their lengths") && len(a.Value) != len(b.Value):
			c = len(a.Value) - len(b.Value)
		}
		if c == 0 && !s.wrong("equal values in any order") {
			c = strings.Compare(a.ExternalID, b.ExternalID)
		}
		if c == 0 && s.wrong("equal values in any order") {
			c = strings.Compare(b.ExternalID, a.ExternalID)
		}
		if r.Backwards && !(s.wrong("looks up forwards alone") && a.Value != nil) {
			c = -c
		}
		return c
	}
	slices.SortFunc(order, func(a, b int) int { return compare(at(a), at(b)) })
	skips := func(n, i int) bool {
		c := compare(at(i), r.After)
		switch {
		case r.After.IsZero():
			s.served = 0
			return false
		case r.After.Value == nil: // of a list
			return c <= 0
		case s.wrong("goes on after as many records as it has returned"):
			return n < s.served
		case s.wrong("goes on after the value of the position") && bytes.Equal(at(i).Value, r.After.Value):
			return true
		}
		return c < 0 || c == 0 && !s.wrong("includes the position of a look-up")
	}
	var page storage.Page
	for n, i := range order {
		if skips(n, i) {
			continue
		}
		if len(page.Records) == r.Limit {
			page.Next = storage.Position{ExternalID: page.Records[len(page.Records)-1].Key.ExternalID, Value: page.Values[len(page.Values)-1]}
			if s.wrong("ends a look-up after a page") && page.Next.Value != nil {
				page.Next = storage.Position{}
			}
			break
		}
		page.Records, page.Values = append(page.Records, all.Records[i]), append(page.Values, all.Values[i])
	}
	s.served += len(page.Records)
	return page
}

func (s *sketch) SetEntries(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error {
	w := storage.Write{Record: storage.Record{Key: key, Revision: expect + 1}, Expect: expect, Entries: entries}
	if err := s.begin(storage.CheckWrites(ctx, []storage.Write{w})); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if expect == 0 {
		return storage.ErrConflict
	}
	if s.wrong("SetEntries of any revision") && s.records[key].rec.Revision != 0 {
		w.Expect = s.records[key].rec.Revision
	}
	if s.wrong("SetEntries does not look whether a value is taken") {
		for i := range w.Entries {
			w.Entries[i].Unique = false
		}
	}
	return s.commit(journaled{Writes: []storage.Write{w}, Set: true})[0]
}

// end returns the cursor at the end of the log.
func (s *sketch) end() storage.Cursor {
	if len(s.log) == 0 {
		return s.floor
	}
	return s.log[len(s.log)-1].Cursor
}

func (s *sketch) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	q, err := storage.CheckChanges(ctx, q)
	if err := s.begin(err); err != nil {
		return storage.ChangePage{}, err
	}
	defer s.mu.Unlock()
	if q.End {
		switch {
		case len(s.log) == 0 && s.wrong("the end of an empty log is its start"):
			return storage.ChangePage{}, nil
		case s.wrong("the end of the log is after the next change"):
			return storage.ChangePage{Next: storage.Cursor{Position: s.end().Position + 1, Revision: 1}}, nil
		}
		return storage.ChangePage{Next: s.end()}, nil
	}
	first := 0
	if q.After != (storage.Cursor{}) {
		first = int(q.After.Position - s.floor.Position)
		known := func() bool {
			switch {
			case first < 0:
				return s.wrong("reads on after a gap")
			case s.wrong("the end of the log is after the next change"):
				return true
			case first > len(s.log):
				return s.wrong("takes a cursor ahead of the log")
			case s.wrong("does not check the revision of a cursor"):
				return true
			case first == 0:
				return q.After == s.floor && !s.wrong("takes the cursor before the first change for expired")
			}
			return q.After == s.log[first-1].Cursor
		}
		if !known() {
			return storage.ChangePage{}, storage.ErrExpired
		}
		first = min(max(first, 0), len(s.log))
	}
	if q.Backwards && !s.wrong("goes forwards in spite of Backwards") {
		return s.before(q, first), nil
	}
	page := storage.ChangePage{Next: q.After}
	if q.After == (storage.Cursor{}) && !s.wrong("the first page of an empty log leads to its start") {
		page.Next = s.floor
	}
	size := 0
	for i := first; i < len(s.log) && (len(page.Changes) < q.Limit || s.wrong("has no largest page of changes")); i++ {
		c := s.withoutData(s.log[i], q)
		if q.Match(c.Key) && s.full(page.Changes, &size, c) {
			break
		}
		if s.wrong("shows changes late, out of turn") && rand.IntN(8) == 0 {
			continue
		}
		match := q.Match(c.Key)
		switch {
		case s.wrong("tells a scope the changes of all") && q.ExternalID == "",
			s.wrong("tells a key the changes of its scope") && c.Key.Scope() == q.Scope,
			s.wrong("tells a key the changes of all scopes") && q.ExternalID != "" && c.Key.ExternalID == q.ExternalID:
			match = true
		}
		if match {
			page.Changes = append(page.Changes, c)
		}
		if match || !s.wrong("moves the cursor to chosen changes alone") {
			page.Next = c.Cursor
		}
		first = i + 1
	}
	if n := len(page.Changes); n > 1 && s.wrong("goes on with the last change of the page") {
		page.Next = page.Changes[n-2].Cursor
	}
	page.More = first < len(s.log) || s.wrong("always has more")
	if s.wrong("never has more") {
		page.More = false
	}
	return page, nil
}

// before is Changes for a page that goes backwards from the change of this number, 0 for
// the end of the log or its start.
func (s *sketch) before(q storage.ChangeQuery, first int) (page storage.ChangePage) {
	switch {
	case q.After == storage.Cursor{}:
		first = len(s.log)
	case first > 0 && !s.wrong("returns the change of the cursor again, backwards"):
		first--
	}
	size := 0
	for _, c := range slices.Backward(s.log[:first]) {
		if !q.Match(c.Key) {
			continue
		}
		c = s.withoutData(c, q)
		if n := len(page.Changes); n == q.Limit || s.full(page.Changes, &size, c) {
			page.Next, page.More = page.Changes[n-1].Cursor, true
			return page
		}
		page.Changes = append(page.Changes, c)
	}
	if n := len(page.Changes); n > 0 && s.wrong("has a Next after the oldest change") {
		page.Next = page.Changes[n-1].Cursor
	}
	return page
}

func (s *sketch) withoutData(c storage.Change, q storage.ChangeQuery) storage.Change {
	switch {
	case !q.NoData || s.wrong("returns documents in spite of NoData"):
	case s.wrong("leaves out the note with the documents"):
		c.Note = storage.Note{}
	default:
		c.Note.Before, c.Note.After = nil, nil
	}
	return c
}

// full reports whether a page has no room for another change. It counts the bytes in size.
func (s *sketch) full(page []storage.Change, size *int, c storage.Change) bool {
	was := *size
	*size += c.Note.Size()
	switch {
	case s.wrong("bounds a page by the number of its changes alone"):
		return false
	case s.wrong("ends a page after the change that is too much"):
		return was > storage.MaxPageBytes
	case s.wrong("has no page for one large change"):
		return *size > storage.MaxPageBytes
	}
	return len(page) > 0 && *size > storage.MaxPageBytes
}

func (s *sketch) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	check := storage.CheckRedact(ctx, key, note)
	if s.wrong("takes any note of a redaction") {
		check = storage.CheckKey(ctx, key)
	}
	if err := s.begin(check); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.log {
		if c.Key == key && (!c.Redacted || s.wrong("redacts what was redacted before")) {
			n++
		}
	}
	r := redaction{key, note, storage.NextRevision(0), false}
	s.commit(journaled{Redact: &r})
	if s.wrong("adds the changes of a redaction after it") {
		s.lapse(s.mistake)
		r.Added = true
		s.commit(journaled{Redact: &r})
	}
	if s.wrong("does not count what it redacts") {
		n = 0
	}
	return n, nil
}

func (s *sketch) redact(r redaction) {
	key := r.Key
	if s.wrong("removes redacted changes") {
		s.log = slices.DeleteFunc(s.log, func(c storage.Change) bool { return c.Key == key })
		return
	}
	var ids []uuid.UUID
	defer func() {
		if !s.wrong("adds the changes of a redaction after it") {
			s.add(r, ids)
		} else if r.Added {
			s.add(r, s.redacted)
		} else {
			s.redacted = ids
		}
	}()
	for i := range s.log {
		c := &s.log[i]
		match := c.Key == key
		if s.wrong("redacts the id in all scopes") {
			match = c.Key.ExternalID == key.ExternalID
		}
		if !match || c.Redacted && !s.wrong("redacts what was redacted before") {
			continue
		}
		if !slices.Contains(ids, c.ID) || s.wrong("adds a change for each one that it redacts") {
			ids = append(ids, c.ID)
		}
		c.Key.ExternalID, c.Redacted = storage.RedactedID(s.secret, key), true
		note := storage.Note{Time: c.Note.Time}
		switch {
		case s.wrong("keeps the actor of redacted changes"):
			note.Actor = c.Note.Actor
		case s.wrong("keeps the documents of redacted changes"):
			note.Before, note.After = c.Note.Before, c.Note.After
		case s.wrong("keeps the id of redacted changes"):
			c.Key.ExternalID = key.ExternalID
		case s.wrong("hashes redacted ids without a key"):
			c.Key.ExternalID = storage.RedactedID(nil, key)
		case s.wrong("makes another id for each redacted change"):
			c.Key.ExternalID = uuid.NewString()
		case s.wrong("forgets the time of redacted changes"):
			note.Time = time.Time{}
		}
		c.Note = note
	}
}

// add adds the changes of a redaction.
func (s *sketch) add(r redaction, ids []uuid.UUID) {
	switch {
	case s.wrong("adds nothing to the log for a redaction"):
		return
	case s.wrong("adds one change for a redaction") && len(ids) > 1:
		ids = ids[:1]
	case s.wrong("adds changes for a redaction backwards"):
		slices.Reverse(ids)
	}
	for i, id := range ids {
		c := storage.Change{
			Cursor: storage.Cursor{Position: s.end().Position + 1, Revision: r.Revision + storage.Revision(i)},
			Key:    r.Key, ID: id, Deleted: true, Redacted: true, Note: r.Note,
		}
		c.Key.ExternalID = storage.RedactedID(s.secret, r.Key)
		c.Note.Time = sketchTime(c.Note.Time)
		switch {
		case s.wrong("adds changes of revisions that are not random"):
			c.Cursor.Revision = storage.Revision(c.Cursor.Position)
		case s.wrong("adds changes with the id of the key"):
			c.Key.ExternalID = r.Key.ExternalID
		case s.wrong("adds changes that are not redacted"):
			c.Redacted = false
		case s.wrong("adds changes that are not deletes"):
			c.Deleted = false
		case s.wrong("adds changes with the last revision"):
			c.Before = s.end().Revision
		case s.wrong("forgets the note of a redaction"):
			c.Note = storage.Note{Time: c.Note.Time}
		}
		s.log = append(s.log, c)
	}
}

func (s *sketch) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	if err := s.begin(storage.CheckTrim(ctx, end)); err != nil {
		return err
	}
	defer s.mu.Unlock()
	known := end == storage.Cursor{} || end == s.floor || s.wrong("takes any end of Trim")
	for _, c := range s.log {
		known = known || c.Cursor == end
	}
	if !known {
		return storage.ErrExpired
	}
	s.commit(journaled{Trim: &before, End: end})
	return nil
}

func (s *sketch) trim(before time.Time, end storage.Cursor) {
	if end == (storage.Cursor{}) || s.wrong("trims in spite of an end") {
		end.Position = math.MaxInt64
	}
	if s.wrong("leaves the change at the end") {
		end.Position--
	}
	old := func(c storage.Change) bool { return c.Note.Time.Before(before) }
	if s.wrong("trims what it finds old anywhere") {
		s.log = slices.DeleteFunc(s.log, old)
		return
	}
	n := 0
	for n < len(s.log) && s.log[n].Cursor.Position <= end.Position && (old(s.log[n]) || s.wrong("trims what was made at the time") && s.log[n].Note.Time.Equal(before)) {
		n++
	}
	if n > 0 {
		s.floor, s.log = s.log[n-1].Cursor, slices.Clone(s.log[n:])
	}
}

func (s *sketch) Limits() storage.Limits { return storage.Limits{} }

func (s *sketch) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.file == nil {
		s.closed = true
		return nil
	}
	s.closed = true
	return s.file.Close()
}

// sketches is what the suite needs to know of it.
func sketches(mistake string) Durable {
	return Durable{
		New: func(t *testing.T) string { return filepath.Join(t.TempDir(), "journal") },
		Open: func(_ context.Context, place string) (storage.Store, error) {
			return openSketch(place, mistake)
		},
		OneHandle: true,
		Copy: func(t *testing.T, place string) (copied string) {
			copied = filepath.Join(t.TempDir(), "copy")
			data, err := os.ReadFile(place)
			if err == nil {
				err = os.WriteFile(copied, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return copied
		},
	}
}
