package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var dryRun = resource.WriteOptions{DryRun: true}

func TestImport(t *testing.T) {
	store := &batching{Store: memory.New()}
	c := open(t, schema.Customers(), store, nil)
	docs := numbered(25)
	docs[3] = `{"customerId":"bad","email":1}`
	docs[17] = `{"customerId":`
	docs[20] = docs[0]
	var progress []int64
	opts := &ingest.Options{BatchSize: 10, Progress: func(r ingest.Result) error {
		progress = append(progress, r.Position.Documents)
		return nil
	}}
	res, err := ingest.Import(ctx, c, tenant, documents(docs...), opts)
	require.NoError(t, err)
	assert.Equal(t, []int64{10, 20, 25}, progress)
	assert.Equal(t, []string{"get 10", "put 9", "get 9", "put 9", "get 5", "put 4"}, store.take())
	assert.Equal(t, [5]int{25, 22, 0, 1, 2}, counts(res))
	assert.Zero(t, res.Repeated, "the same values")
	require.Len(t, res.Errors, 2)
	assert.Equal(t, ingest.Place{Position: 3}, res.Errors[0].Place)
	assert.Equal(t, ingest.Place{Position: 17}, res.Errors[1].Place)
	var invalid *schema.ValidationError
	assert.ErrorAs(t, res.Errors[0], &invalid)
	var syntax *schema.SyntaxError
	assert.ErrorAs(t, res.Errors[1], &syntax)
	assert.Contains(t, res.Errors[1].Error(), "document at position 17: ")

	again, err := ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{MaxErrors: 1})
	require.NoError(t, err)
	assert.Equal(t, [5]int{25, 0, 0, 23, 2}, counts(again))
	assert.Len(t, again.Errors, 1, "all are counted, one is kept")
	assert.Equal(t, res.Position, again.Position, "batches have nothing to do with it")
	assert.Equal(t, []string{"get 23"}, store.take(), "nothing is written")
	none, err := ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{MaxErrors: -1})
	require.NoError(t, err)
	assert.Empty(t, none.Errors)

	rejected, err := ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{Create: resource.WriteOptions{RejectExisting: true}})
	require.NoError(t, err)
	assert.EqualValues(t, 25, rejected.Failed)

	empty, err := ingest.Import(ctx, c, tenant, documents(), nil)
	require.NoError(t, err)
	assert.Equal(t, &ingest.Result{}, empty)
	_, err = ingest.Import(ctx, c, storage.Tenant{}, documents(docs...), nil)
	assert.ErrorIs(t, err, storage.ErrInvalid)
	_, err = ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{Create: resource.WriteOptions{Nulls: 7}})
	assert.ErrorIs(t, err, storage.ErrInvalid)
}

// TestErrors: what ends an import, and what does not.
func TestErrors(t *testing.T) {
	broken, columns := errors.New("disk on fire"), errors.New("3 columns")
	c, store := customers(t)
	docs := numbered(25)
	res, err := ingest.Import(ctx, c, tenant, failing(docs, map[int]error{5: columns}, map[int]error{13: broken}), &ingest.Options{BatchSize: 10})
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, [5]int{13, 12, 0, 0, 1}, counts(res), "what was read before is written")
	assert.ErrorIs(t, res.Errors[0], columns)
	assert.Equal(t, 12, count(t, store))
	from := res.Position
	res, err = ingest.Import(ctx, c, tenant, failing(docs, map[int]error{5: columns}, nil), &ingest.Options{BatchSize: 10, From: from})
	require.NoError(t, err)
	assert.Equal(t, [5]int{25, 12, 0, 0, 0}, counts(res), "and the rest by the next import")

	// Also where documents are left out: the next import must not begin before this
	// one should have.
	for _, at := range []int{0, 5, 12} {
		res, err = ingest.Import(ctx, c, tenant, failing(docs, nil, map[int]error{at: broken}), &ingest.Options{From: from})
		assert.ErrorIs(t, err, broken, "at %d", at)
		assert.Equal(t, &ingest.Result{Position: from}, res, "at %d", at)
	}
	ended, end := context.WithCancel(ctx)
	end()
	for _, position := range []int64{0, 25} {
		res, err = ingest.Import(ended, c, tenant, documents(docs...), &ingest.Options{From: ingest.Position{Documents: position}})
		assert.ErrorIs(t, err, context.Canceled, "the end of the context")
		assert.Equal(t, position, res.Position.Documents)
	}
	res, err = ingest.Import(ctx, c, storage.Tenant{}, documents(docs...), &ingest.Options{From: from})
	assert.ErrorIs(t, err, storage.ErrInvalid)
	assert.Equal(t, from, res.Position)

	enough := errors.New("enough")
	var handed []string
	alone := map[int]error{2: columns, 4: columns, 6: columns}
	res, err = ingest.Import(ctx, c, tenant, failing(docs, alone, nil), &ingest.Options{
		BatchSize: 10,
		OnError: func(e ingest.DocumentError, text []byte) error {
			if handed = append(handed, fmt.Sprintf("%v %d", e, len(text))); len(handed) == 2 {
				return enough
			}
			return nil
		},
	})
	assert.ErrorIs(t, err, enough)
	assert.Equal(t, []string{"document at position 2: 3 columns 0", "document at position 4: 3 columns 0"}, handed, "none after it said stop")
	assert.Equal(t, [5]int{4, 1, 0, 6, 1}, counts(res), "the one that was not reported is not done")
	assert.Empty(t, res.Errors)
	assert.NotEmpty(t, res.Position.Hash)
	next, err := ingest.Import(ctx, c, tenant, failing(docs, alone, nil), &ingest.Options{From: res.Position})
	require.NoError(t, err, "the hash is that of the position in the middle of a batch")
	assert.Equal(t, 2, next.Failed)

	res, err = ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{BatchSize: 10, Progress: func(ingest.Result) error { return enough }})
	assert.ErrorIs(t, err, enough)
	assert.EqualValues(t, 10, res.Position.Documents, "the batch is done")
}

// TestResumes: a store that fails now and then; each import goes on where the last
// one ended, and in the end everything is there.
func TestResumes(t *testing.T) {
	for _, fault := range []error{storage.ErrUnavailable, storage.ErrUnknownOutcome, storage.ErrConflict, storage.ErrClosed} {
		t.Run(fault.Error(), func(t *testing.T) {
			inner, puts := memory.New(), 0
			failing := true
			store := storagetest.Faulty(inner, func(op storagetest.Op) storagetest.Fault {
				if op.Name == "put" && failing {
					if puts++; puts%23 == 0 || fault == storage.ErrConflict && puts > 40 {
						return storagetest.Fault{Err: fault, Applied: fault == storage.ErrUnknownOutcome && puts%2 == 0}
					}
				}
				return storagetest.Fault{}
			})
			c := open(t, schema.Customers(), store, nil)
			docs := numbered(100)
			opts := &ingest.Options{BatchSize: 10}
			done, ended := 0, 0
			for range 100 {
				res, err := ingest.Import(ctx, c, tenant, documents(docs...), opts)
				assert.GreaterOrEqual(t, res.Position.Documents, opts.From.Documents)
				assert.Zero(t, res.Failed, "a document that may work another time has not failed")
				done += res.Created + res.Updated
				opts.From = res.Position
				if err == nil {
					break
				}
				ended++
				failing = ended < 10 && fault != storage.ErrConflict // which takes 256 attempts
				assert.ErrorIs(t, err, fault)
				assert.NotContains(t, err.Error(), "c-0")
			}
			assert.EqualValues(t, 100, opts.From.Documents)
			assert.Positive(t, ended)
			assert.Equal(t, 100, count(t, inner))
			if fault != storage.ErrUnknownOutcome {
				assert.Equal(t, 100, done, "each counted once, by the import that stored it")
			}
		})
	}
	cancelled, cancel := context.WithCancel(ctx)
	c, _ := customers(t)
	res, err := ingest.Import(cancelled, c, tenant, documents(numbered(30)...), &ingest.Options{BatchSize: 10, Progress: func(ingest.Result) error {
		cancel()
		return nil
	}})
	assert.ErrorIs(t, err, context.Canceled)
	assert.EqualValues(t, 10, res.Position.Documents)
}

// TestPositionKnowsItsContent: an import goes on only in an input that begins with
// the documents that are done.
func TestPositionKnowsItsContent(t *testing.T) {
	docs := numbered(30)
	ended := errors.New("ended")
	positionOf := func(alone map[int]error) ingest.Position {
		c, _ := customers(t)
		res, err := ingest.Import(ctx, c, tenant, failing(docs, alone, map[int]error{20: ended}), nil)
		require.ErrorIs(t, err, ended)
		require.EqualValues(t, 20, res.Position.Documents)
		return res.Position
	}
	position := positionOf(nil)
	other := func(change func(docs []string) []string) []string { return change(append([]string(nil), docs...)) }
	for _, tt := range []struct {
		name string
		docs []string
		want string // "" is none
	}{
		{"the same", docs, ""},
		{"other documents after it", other(func(d []string) []string { d[20] = d[29]; return d }), ""},
		{"fewer documents after it", docs[:21], ""},
		{"none after it", docs[:20], ""},
		{"some are missing", other(func(d []string) []string { return append(d[:3], d[13:]...) }), "the 20 documents before it are not those that were imported"},
		{"one is other", other(func(d []string) []string { d[7] += " "; return d }), "the 20 documents before it are not those"},
		{"the last is other", other(func(d []string) []string { d[19] = d[18]; return d }), "the 20 documents before it are not those"},
		{"two have changed places", other(func(d []string) []string { d[3], d[4] = d[4], d[3]; return d }), "the 20 documents before it are not those"},
		{"two have moved together", other(func(d []string) []string { d[3], d[4] = d[3]+d[4][:9], d[4][9:]; return d }), "the 20 documents before it are not those"},
		{"not so many", docs[:19], "it has only 19 documents, and 20 should be done"},
		{"none", nil, "it has only 0 documents"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, store := customers(t)
			res, err := ingest.Import(ctx, c, tenant, documents(tt.docs...), &ingest.Options{From: position})
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, ingest.ErrPosition)
			assert.ErrorContains(t, err, tt.want)
			assert.Equal(t, &ingest.Result{Position: position}, res)
			assert.Zero(t, count(t, store), "nothing is imported")
		})
	}
	c, _ := customers(t)
	res, err := ingest.Import(ctx, c, tenant, documents(docs[10:]...), &ingest.Options{From: ingest.Position{Documents: 10}})
	require.NoError(t, err, "without a hash it is not checked")
	assert.Equal(t, 10, res.Created)
	assert.NotEqual(t, position, positionOf(map[int]error{3: errors.New("bad")}), "documents that failed are part of it")

	text, err := json.Marshal(position)
	require.NoError(t, err)
	assert.Regexp(t, `^"20:[0-9a-f]{32}"$`, string(text))
	var read ingest.Position
	require.NoError(t, json.Unmarshal(text, &read))
	assert.Equal(t, position, read)
	for text, want := range map[string]string{
		"0": "0", "12": "12", "007": "7", "12:" + strings.Repeat("AB", 16): "12:" + strings.Repeat("ab", 16), "9223372036854775807": "9223372036854775807",
		"": "", "-1": "", "+1": "", "x": "", "1:": "", "1:abc": "", "1:" + strings.Repeat("a", 30): "", "1:" + strings.Repeat("x", 32): "", "9223372036854775808": "", " 1": "",
	} {
		read := ingest.Position{Documents: 7}
		if err := read.UnmarshalText([]byte(text)); want == "" {
			assert.ErrorContains(t, err, "expected ", text)
			assert.EqualValues(t, 7, read.Documents, text)
			continue
		}
		assert.Equal(t, want, read.String())
	}
}

// TestDryRun: a dry run reports what the run does, whatever the batches.
func TestDryRun(t *testing.T) {
	patch := func(id, member string) string { return `{"customerId":"` + id + `",` + member + `}` }
	many := numbered(1000)
	for _, tt := range []struct {
		name string
		docs []string
		opts resource.WriteOptions
		want [5]int
	}{
		{"a patch of an earlier batch's document", append(many, patch("c-000000", `"email":"x@y"`)), resource.WriteOptions{}, [5]int{1001, 1000, 1, 0, 0}},
		{"the same twice", append(many, many[0], patch("stored", `"email":null`)), resource.WriteOptions{}, [5]int{1002, 1000, 1, 1, 0}},
		{"one that is stored", []string{patch("stored", `"email":"b"`), patch("stored", `"email":"b"`), patch("stored", `"email":"a"`)}, resource.WriteOptions{}, [5]int{3, 0, 2, 1, 0}},
		{"rejected the second time", []string{customer("new", ""), customer("new", ""), customer("stored", "")}, resource.WriteOptions{RejectExisting: true}, [5]int{3, 1, 0, 0, 2}},
		{"absent the first time", []string{customer("new", ""), customer("new", "")}, resource.WriteOptions{If: resource.Absent()}, [5]int{2, 1, 0, 0, 1}},
		{"nulls", []string{customer("new", `,"phone":"1"`), patch("new", `"phone":null`), patch("new", `"phone":null`), patch("new", `"firstName":null`)}, resource.WriteOptions{}, [5]int{4, 1, 1, 1, 1}},
		{"nulls are ignored", []string{customer("new", `,"emailOptOut":true`), patch("new", `"emailOptOut":null`)}, resource.WriteOptions{Nulls: schema.IgnoreNulls}, [5]int{2, 1, 0, 1, 0}},
	} {
		for _, size := range []int{1, 2, 1000} {
			var results [2]*ingest.Result
			for i := range results {
				c, store := customers(t)
				_, err := c.Create(ctx, tenant, []byte(customer("stored", `,"email":"a"`)), nil)
				require.NoError(t, err)
				opts := tt.opts
				opts.DryRun = i == 0
				results[i], err = ingest.Import(ctx, c, tenant, documents(tt.docs...), &ingest.Options{Create: opts, BatchSize: size})
				require.NoError(t, err)
				if opts.DryRun {
					assert.Equal(t, 1, count(t, store), "nothing is stored")
				}
			}
			assert.Equal(t, tt.want, counts(results[0]), "%s, batches of %d", tt.name, size)
			assert.Equal(t, results[1].Position, results[0].Position)
			assert.Equal(t, results[1].Repeated, results[0].Repeated)
			assert.Equal(t, fmt.Sprint(results[1].Errors), fmt.Sprint(results[0].Errors), "%s, batches of %d", tt.name, size)
		}
	}
}

// TestDryRunUnique: a dry run finds each value that the run finds taken: in the store, in an
// earlier batch and in the same one; but not one that the import has freed.
func TestDryRunUnique(t *testing.T) {
	def := schema.Customers().Definition()
	for i := range def.Fields {
		if def.Fields[i].Name == "email" {
			def.Fields[i].Index, def.Fields[i].Unique, def.Fields[i].Fold = 1, true, "lower"
		}
	}
	unique := schema.MustCompile(def)
	email := func(id, email string) string { return customer(id, `,"email":"`+email+`"`) }
	docs := []string{
		email("1", "B"),                // taken by stored-b
		email("2", "c"),                // new
		email("3", "C"),                // taken by 2
		email("stored-a", "d"),         // frees a
		email("4", "A"),                // takes it
		email("stored-b", "a"),         // taken by 4
		email("2", "e"),                // frees c
		email("5", "c"),                // takes it
		email("6", "e"),                // taken by 2
		email("stored-b", "b"),         // unchanged
		customer("stored-b", ""),       // unchanged
		email("stored-b", "f"),         // frees b
		email("1", "b"),                // takes it
		customer("1", `,"email":null`), // frees it again
		email("7", "b"),
	}
	for size := range len(docs) {
		var results [2]*ingest.Result
		for i := range results {
			store := memory.New()
			c, err := resource.NewCollection(unique, store, nil)
			require.NoError(t, err)
			for _, id := range []string{"a", "b"} {
				_, err := c.Create(ctx, tenant, []byte(email("stored-"+id, id)), nil)
				require.NoError(t, err)
			}
			results[i], err = ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{
				Create: resource.WriteOptions{DryRun: i == 0}, BatchSize: size + 1,
			})
			require.NoError(t, err)
		}
		assert.Equal(t, counts(results[1]), counts(results[0]), "batches of %d", size+1)
		assert.Equal(t, fmt.Sprint(results[1].Errors), fmt.Sprint(results[0].Errors), "batches of %d", size+1)
		if size == 0 {
			assert.Equal(t, [5]int{15, 5, 4, 2, 4}, counts(results[1]))
		}
	}
}

// TestDryRunLimits: what the store would refuse is refused, OnCall sees a dry run, and
// the log sees none.
func TestDryRunLimits(t *testing.T) {
	var calls []resource.Call
	c := open(t, schema.Customers(), limited{memory.New()}, &resource.Options{
		Log:    true,
		OnCall: func(_ context.Context, call resource.Call) { calls = append(calls, call) },
	})
	docs := []string{customer("a", `,"email":"`+strings.Repeat("x", 300)+`"`), customer("b", `,"phone":"`+strings.Repeat("1", 100)+`"`), `{"customerId":"b","email":"` + strings.Repeat("x", 100) + `"}`}
	dry, err := ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{BatchSize: 1, Create: dryRun})
	require.NoError(t, err)
	require.Len(t, calls, 3)
	assert.True(t, calls[0].DryRun && calls[2].DryRun)
	assert.Equal(t, resource.Op("create_batch"), calls[0].Op)
	res, err := ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{BatchSize: 1})
	require.NoError(t, err)
	assert.Equal(t, [5]int{3, 1, 0, 0, 2}, counts(res))
	assert.Equal(t, counts(res), counts(dry))
	assert.ErrorIs(t, dry.Errors[1], storage.ErrTooLarge)
	page, err := c.Changes(ctx, tenant, nil)
	require.NoError(t, err)
	assert.Len(t, page.Changes, 1, "of the run, none of the dry run")
}

// A limited store refuses more than 300 bytes.
type limited struct{ storage.Store }

func (limited) Limits() storage.Limits { return storage.Limits{MaxData: 300} }

func (s limited) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	for _, w := range writes { // of one each
		if len(w.Record.Data) > 300 {
			return nil, storage.ErrTooLarge
		}
	}
	return s.Store.Write(ctx, writes)
}

// TestMaxMemory: a dry run says from when on it could not keep what it would have
// made, and an import for how many documents it could not tell repeats.
func TestMaxMemory(t *testing.T) {
	const n = 2000
	docs := append(numbered(n), `{"customerId":"c-000000","email":"a"}`, fmt.Sprintf(`{"customerId":"c-%06d","email":"a"}`, n-1))
	for _, tt := range []struct {
		name                 string
		create               resource.WriteOptions
		memory               int64
		updated, failed      int
		repeated             int64
		fewestKept, mostKept int
	}{
		{"dry run, enough", dryRun, 0, 2, 0, 2, n + 2, n + 2},
		{"dry run, bounded", dryRun, 500_000, 1, 1, 1, 300, 1300},
		{"dry run, nothing kept", dryRun, -1, 0, 2, 0, 0, 0},
		{"run, enough", resource.WriteOptions{}, 0, 2, 0, 2, n + 2, n + 2},
		{"run, bounded", resource.WriteOptions{}, 32 * n / 2, 2, 0, 1, n / 2, n/2 + 100},
		{"run, nothing kept", resource.WriteOptions{}, -1, 2, 0, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := customers(t)
			res, err := ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{Create: tt.create, BatchSize: 100, MaxMemory: tt.memory})
			require.NoError(t, err)
			assert.Equal(t, [5]int{n + 2, n, tt.updated, 0, tt.failed}, counts(res))
			assert.Equal(t, tt.repeated, res.Repeated)
			kept := n + 2 - int(res.Forgotten)
			assert.GreaterOrEqual(t, kept, tt.fewestKept)
			assert.LessOrEqual(t, kept, tt.mostKept)
		})
	}
}

// TestRepeated: one id twice with other values is told, by its places.
func TestRepeated(t *testing.T) {
	text := strings.Join([]string{
		customer("a", ""), customer("b", ""), "", customer("a", ""), customer("a", `,"email":"x"`), `{"customerId":"b","phone":1}`, customer("c", ""), customer("c", `,"phone":"1"`), `{"customerId":"a","email":"y"}`,
	}, "\n")
	for _, size := range []int{1, 3, 1000} {
		for _, dry := range []bool{true, false} {
			c, _ := customers(t)
			var told []string
			res, err := ingest.Import(ctx, c, tenant, ingest.NDJSON(strings.NewReader(text), 0), &ingest.Options{
				BatchSize: size, Create: resource.WriteOptions{DryRun: dry},
				OnRepeat: func(later, earlier ingest.Place) { told = append(told, fmt.Sprintf("%v after %v", later, earlier)) },
			})
			require.NoError(t, err)
			assert.EqualValues(t, 3, res.Repeated)
			assert.Equal(t, []string{"line 5 after line 1", "line 8 after line 7", "line 9 after line 1"}, told)
		}
	}
	c, _ := customers(t)
	_, err := ingest.Import(ctx, c, tenant, lines(customer("a", "")), nil)
	require.NoError(t, err)
	res, err := ingest.Import(ctx, c, tenant, lines(customer("a", `,"email":"x"`)), nil)
	require.NoError(t, err)
	assert.Equal(t, 1, res.Updated)
	assert.Zero(t, res.Repeated, "it is not in this input twice")
}

// TestInvisibleIDs: documents whose id is blank do not become one resource.
func TestInvisibleIDs(t *testing.T) {
	c, store := customers(t)
	res, err := ingest.Import(ctx, c, tenant, documents(customer(" ", ""), customer("a", ""), customer("\u00a0", "")), nil)
	require.NoError(t, err)
	assert.Equal(t, [5]int{3, 1, 0, 0, 2}, counts(res))
	for _, failed := range res.Errors {
		var invalid *schema.ValidationError
		require.ErrorAs(t, failed, &invalid)
		require.Len(t, invalid.Violations, 1)
		assert.Equal(t, "external_id", invalid.Violations[0].Code)
	}
	assert.Equal(t, 1, count(t, store))
}

// TestBatches: batches are cut by their bytes, too, and by what the collection takes.
func TestBatches(t *testing.T) {
	store := &batching{Store: memory.New()}
	c := open(t, schema.Customers(), store, nil)
	big := func(i, size int) string {
		return customer(fmt.Sprintf("c-%d", i), `,"email":"`+strings.Repeat("x", size)+`"`)
	}
	var docs []string
	for i := range 10 {
		docs = append(docs, big(i, 1<<20))
	}
	docs = append(docs, big(10, 9<<20), big(11, 1))
	res, err := ingest.Import(ctx, c, tenant, documents(docs...), nil)
	require.NoError(t, err)
	assert.Equal(t, 12, res.Created)
	assert.Equal(t, []string{"get 8", "put 8", "get 3", "put 3", "get 1", "put 1"}, store.take())

	refused := 0
	c = open(t, schema.Customers(), store, &resource.Options{MaxBatch: 60, OnCall: func(_ context.Context, call resource.Call) {
		if call.Err != nil {
			refused++
		}
	}})
	docs = numbered(250)
	docs[249] = `{"customerId":"c-000000","email":"a"}`
	res, err = ingest.Import(ctx, c, tenant, documents(docs...), &ingest.Options{BatchSize: 100})
	require.NoError(t, err)
	assert.Equal(t, [5]int{250, 249, 1, 0, 0}, counts(res))
	assert.Equal(t, []string{"get 50", "put 50", "get 50", "put 50", "get 50", "put 50", "get 50", "put 50", "get 50", "put 50"}, store.take())
	assert.Equal(t, 1, refused, "what the collection takes is found out once")
}

// TestStatesOfOneResource: a batch refuses items whose states take too much memory
// together; an import writes them in several, in their order.
func TestStatesOfOneResource(t *testing.T) {
	const n, size = 24, 4 << 20 // a batch takes the states of 9
	s := schema.MustCompile(schema.Definition{ID: uuid.New(), Name: "things", ExternalID: "id", Fields: []schema.Field{
		{Name: "id", Type: schema.String, Required: true}, {Name: "long", Type: schema.String},
		{Name: "early", Type: schema.Integer}, {Name: "late", Type: schema.Integer},
	}})
	var docs []string
	for i := range n {
		name := "early" // up to the second half
		if i > n/2+1 {
			name = "late"
		}
		docs = append(docs, fmt.Sprintf(`{"id":"1","%s":%d}`, name, i))
	}
	c := open(t, s, memory.New(), &resource.Options{MaxBatch: n / 2})
	_, err := c.Create(ctx, tenant, fmt.Appendf(nil, `{"id":"1","long":"%s"}`, bytes.Repeat([]byte("x"), size)), nil)
	require.NoError(t, err)
	res, err := ingest.Import(ctx, c, tenant, documents(docs...), nil)
	require.NoError(t, err)
	assert.Equal(t, [5]int{n, 0, n, 0, 0}, counts(res))
	got, err := c.Get(ctx, tenant, "1")
	require.NoError(t, err)
	assert.True(t, bytes.HasSuffix(got.Data(), fmt.Appendf(nil, `,"early":%d,"late":%d}`, n/2+1, n-1)), "%s", got.Data()[size:])
}

// TestNoValues: what a program may log holds no value.
func TestNoValues(t *testing.T) {
	const marker = "Zq9-PersonalData"
	c, _ := customers(t)
	docs := []string{customer(marker, ""), marker, `{"customerId":"` + marker + `","email":7}`, customer(marker, "")}
	res, err := ingest.Import(ctx, c, tenant, lines(docs...), &ingest.Options{Create: resource.WriteOptions{RejectExisting: true}})
	require.NoError(t, err)
	require.Len(t, res.Errors, 3)
	encoded, err := json.Marshal(res)
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s", res, *res, res.Errors[1], encoded), marker)
}
