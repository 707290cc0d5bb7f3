package scenarios_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// journals have one member that takes any number of entries.
var journals = schema.MustCompile(schema.Definition{
	ID: uuid.MustParse("7b000000-0000-4000-8000-000000000002"), Name: "journals", ExternalID: "id",
	Fields: []schema.Field{{Name: "id", Type: schema.String, Required: true}, {Name: "entries", Type: schema.Object}},
})

const (
	historyWrites = 24 // of each writer
	historyKeys   = 2
)

// TestHistory lets writers of every kind add entries to the same journals, each under a
// name of its own, through three services on one store. In the end the journals have
// exactly the entries that were acknowledged. The changes in the log are one history
// without a gap. Each entry comes up in it once, and it leads to the stored records.
func TestHistory(t *testing.T) {
	for _, store := range slices.Concat(stores, recalling) {
		t.Run(store.name, func(t *testing.T) {
			assert.Empty(t, writeHistory(t, store.open(t)))
		})
	}
	t.Run("mutant", func(t *testing.T) {
		assert.NotEmpty(t, writeHistory(t, lostUpdate{memory.New()}), "a store that loses updates was not found out")
	})
}

// A writer adds some entries, each once, and returns when all are acknowledged.
type writer struct {
	name  string
	write func(s *journalService, key string, entries []string) error
	at    int // which service
	group int // how many entries in one write
}

var writers = []writer{
	{"POST", (*journalService).post, 0, 1},
	{"POST of another service", (*journalService).post, 1, 2},
	{"PATCH", (*journalService).patch, 0, 1},
	{"PATCH of another service", (*journalService).patch, 1, 1},
	{"PATCH with If-Match", (*journalService).patchIfMatch, 1, 1},
	{"create", (*journalService).create, 2, 1},
	{"patch", (*journalService).patchDirectly, 2, 1},
	{"batch of creates", (*journalService).createBatch, 2, 4},
	{"batch of patches", (*journalService).patchBatch, 0, 4},
	{"import", (*journalService).importAll, 1, 6},
	{"create and delete", (*journalService).comeAndGo, 0, 1},
}

// writeHistory returns what is wrong in the end.
func writeHistory(t *testing.T, store storage.Store) (wrong []string) {
	t.Helper()
	var services [3]*journalService
	for i := range services {
		services[i] = newJournalService(t, store)
	}
	want := make(map[string][]string) // entries by journal
	for k := range historyKeys {
		require.NoError(t, services[0].post(journal(k), nil))
	}
	var wg sync.WaitGroup
	errs := make([]error, len(writers))
	for i, w := range writers {
		var all [historyKeys][]string
		for n := range historyWrites {
			k := n / w.group % historyKeys
			all[k] = append(all[k], fmt.Sprintf("%d-%d", i, n))
		}
		if w.name != "create and delete" {
			for k := range all {
				want[journal(k)] = append(want[journal(k)], all[k]...)
			}
		}
		wg.Go(func() {
			for n := 0; errs[i] == nil && n < historyWrites; n += w.group {
				k := n / w.group % historyKeys
				errs[i] = w.write(services[w.at], journal(k), all[k][:w.group])
				all[k] = all[k][w.group:]
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		require.NoError(t, err, writers[i].name)
	}
	events := make(map[string][]resource.Change)
	for q := (storage.ChangeQuery{Limit: storage.MaxPage}); ; {
		page, err := store.Changes(ctx, q)
		require.NoError(t, err)
		for _, change := range page.Changes {
			e := resource.MakeChange(journals, change, &resource.ChangeOptions{Patches: true, Unredacted: true})
			events[e.Key.ExternalID] = append(events[e.Key.ExternalID], e)
		}
		if q.After = page.Next; !page.More && page.Held == 0 {
			break
		}
	}
	stored := make(map[string]storage.Record)
	for _, rec := range records(t, store, everybody, journals) {
		stored[rec.Key.ExternalID] = rec
	}
	for k := range historyKeys {
		wrong = append(wrong, entriesDiffer(journal(k), want[journal(k)], stored[journal(k)], events[journal(k)])...)
		wrong = append(wrong, replayDiffers(journal(k), stored[journal(k)], events[journal(k)])...)
	}
	return append(wrong, replayDiffers(temporary, stored[temporary], events[temporary])...)
}

func journal(k int) string { return fmt.Sprintf("journal-%d", k) }

// temporary is the journal that comes and goes.
const temporary = "temporary"

// entriesDiffer compares the entries of a journal, and those in its events, with those
// that were acknowledged.
func entriesDiffer(name string, want []string, rec storage.Record, events []resource.Change) (wrong []string) {
	times := make(map[string]int)
	for entry := range entriesOf(rec.Data) {
		times[entry] += 1000
	}
	for _, e := range events {
		for entry := range entriesOf(e.Patch) {
			times[entry]++
		}
	}
	for _, entry := range want {
		if times[entry] != 1001 {
			wrong = append(wrong, fmt.Sprintf("%s: entry %s was acknowledged, and is there %d times and in %d events", name, entry, times[entry]/1000, times[entry]%1000))
		}
		delete(times, entry)
	}
	for entry := range times {
		wrong = append(wrong, fmt.Sprintf("%s: entry %s is there, and nobody wrote it", name, entry))
	}
	return wrong
}

func entriesOf(document []byte) map[string]any {
	var d struct{ Entries map[string]any }
	if len(document) > 0 {
		if err := json.Unmarshal(document, &d); err != nil {
			panic(err)
		}
	}
	return d.Entries
}

// replayDiffers goes from event to event, from absence to the stored record. It must need
// all of them.
func replayDiffers(name string, rec storage.Record, events []resource.Change) (wrong []string) {
	note := func(format string, args ...any) []string {
		return append(wrong, name+": "+fmt.Sprintf(format, args...))
	}
	// A journal that is deleted can be created again, so there can be several
	// beginnings; each begins with a revision of its own.
	after := make(map[storage.Revision]resource.Change)
	var begins []resource.Change
	for _, e := range events {
		if e.Before == 0 {
			begins = append(begins, e)
			continue
		}
		if _, twice := after[e.Before]; twice {
			return note("two events change the same revision")
		}
		after[e.Before] = e
	}
	used := 0
	ends := 0
	for _, e := range begins {
		document, err := merge.Patch([]byte("{}"), e.Patch)
		if err != nil {
			return note("%v", err)
		}
		for used++; ; used++ {
			next, more := after[e.Revision]
			if !more {
				break
			}
			if e = next; e.Outcome == resource.Deleted {
				continue
			}
			if document, err = merge.Patch(document, e.Patch); err != nil {
				return note("%v", err)
			}
		}
		if e.Outcome == resource.Deleted {
			continue
		}
		ends++
		if e.Revision != rec.Revision || !merge.Equal(document, rec.Data) {
			wrong = note("the history leads to another state than the one that is stored")
		}
	}
	if rec.Revision == 0 && ends > 0 || rec.Revision != 0 && ends != 1 {
		wrong = note("%d histories lead to a journal that is there", ends)
	}
	if used != len(events) {
		wrong = note("%d events, and %d of them are in the history", len(events), used)
	}
	return wrong
}

// journalService is one service on a store that it shares.
type journalService struct {
	c    *resource.Collection
	url  string
	http *http.Client
}

func newJournalService(t *testing.T, store storage.Store) *journalService {
	s := new(journalService)
	s.c = newCollection(t, journals, store, &resource.Options{Log: true, History: true})
	api, err := httpapi.NewAPI(hooksOf(everybody), nil, s.c)
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	s.url, s.http = server.URL+httpapi.DefaultPrefix+"journals", server.Client()
	return s
}

// document is a journal, or a patch of one, with these entries.
func document(key string, entries ...string) []byte {
	members := make([]string, len(entries))
	for i, e := range entries {
		members[i] = `"` + e + `":"by ` + e + `"`
	}
	return []byte(`{"id":"` + key + `","entries":{` + strings.Join(members, ",") + `}}`)
}

// documents are some with one entry each.
func documents(key string, entries []string) [][]byte {
	list := make([][]byte, len(entries))
	for i, e := range entries {
		list[i] = document(key, e)
	}
	return list
}

// send repeats a request until it is not answered with 503, which says that
// nothing was changed.
func (s *journalService) send(method, target string, data []byte, ifMatch string) (status int, etag string, err error) {
	for {
		req, err := http.NewRequest(method, target, strings.NewReader(`{"data":`+string(data)+`}`))
		if err != nil {
			return 0, "", err
		}
		if ifMatch != "" {
			req.Header.Set("If-Match", ifMatch)
		}
		res, err := s.http.Do(req)
		if err != nil {
			return 0, "", err
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusServiceUnavailable {
			return res.StatusCode, res.Header.Get("ETag"), err
		}
	}
}

func acknowledged(status int, _ string, err error) error {
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

func (s *journalService) post(key string, entries []string) error {
	return acknowledged(s.send("POST", s.url, document(key, entries...), ""))
}

func (s *journalService) patch(key string, entries []string) error {
	return acknowledged(s.send("PATCH", s.url+"/"+key, document(key, entries...), ""))
}

func (s *journalService) patchIfMatch(key string, entries []string) error {
	for {
		_, etag, err := s.send("GET", s.url+"/"+key, nil, "")
		if err != nil {
			return err
		}
		status, _, err := s.send("PATCH", s.url+"/"+key, document(key, entries...), etag)
		if err != nil || status != http.StatusPreconditionFailed {
			return acknowledged(status, "", err)
		}
	}
}

// again repeats what certainly had no effect.
func again(do func() error) error {
	for {
		if err := do(); !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
}

func (s *journalService) create(key string, entries []string) error {
	return again(func() error {
		_, err := s.c.Create(ctx, everybody, document(key, entries...), nil)
		return err
	})
}

func (s *journalService) patchDirectly(key string, entries []string) error {
	return again(func() error {
		_, err := s.c.Patch(ctx, everybody, key, document(key, entries...), nil)
		return err
	})
}

func (s *journalService) createBatch(key string, entries []string) error {
	return again(func() error { return firstError(s.c.CreateBatch(ctx, everybody, documents(key, entries), nil)) })
}

func (s *journalService) patchBatch(key string, entries []string) error {
	var items []resource.Item
	for _, d := range documents(key, entries) {
		items = append(items, resource.Item{ExternalID: key, Data: d})
	}
	return again(func() error { return firstError(s.c.PatchBatch(ctx, everybody, items, nil)) })
}

func firstError(b []resource.ItemResult, err error) error {
	if err != nil {
		return err
	}
	for _, i := range b {
		err = errors.Join(err, i.Err)
	}
	return err
}

func (s *journalService) importAll(key string, entries []string) error {
	return again(func() error {
		sequence := func(yield func(ingest.Document, error) bool) {
			for d := range slices.Values(documents(key, entries)) {
				if !yield(ingest.Document{Data: d}, nil) {
					return
				}
			}
		}
		r, err := ingest.Import(ctx, s.c, everybody, sequence, nil)
		if err == nil && r.Failed > 0 {
			err = r.Errors[0]
		}
		return err
	})
}

// comeAndGo creates the temporary journal, changes and deletes it, by turns
// through HTTP and the library.
func (s *journalService) comeAndGo(_ string, entries []string) error {
	if err := s.post(temporary, entries); err != nil {
		return err
	}
	if err := s.patch(temporary, []string{"more"}); err != nil {
		return err
	}
	if strings.HasSuffix(entries[0], "3") {
		return nil // the next one changes it
	}
	if strings.HasSuffix(entries[0], "1") {
		return firstError(s.c.DeleteBatch(ctx, everybody, []resource.Item{{ExternalID: temporary}}, nil))
	}
	return acknowledged(s.send("DELETE", s.url+"/"+temporary, nil, ""))
}
