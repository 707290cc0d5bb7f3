package resource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documents is a sequence that uses one piece of memory for all its documents.
func documents(docs ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var buf []byte
		for _, d := range docs {
			buf = append(buf[:0], d...)
			if !yield(buf, nil) {
				return
			}
			for i := range buf {
				buf[i] = '!'
			}
		}
	}
}

func importDocs(n int) []string {
	docs := make([]string, n)
	for i, d := range numberedDocs(n, "") {
		docs[i] = string(d)
	}
	return docs
}

func TestImport(t *testing.T) {
	store := &batching{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	docs := importDocs(25)
	docs[3] = `{"customerId":"bad","email":1}`
	docs[17] = `{"customerId":`
	docs[20] = docs[0]
	var progress []int64
	opts := &resource.ImportOptions{BatchSize: 10, Progress: func(r resource.ImportResult) { progress = append(progress, r.Position) }}
	res, err := c.Import(ctx, tenant, documents(docs...), opts)
	require.NoError(t, err)
	assert.Equal(t, []int64{10, 20, 25}, progress)
	assert.Equal(t, []string{"get 10", "put 9", "get 9", "put 9", "get 5", "put 4"}, store.take())
	assert.Equal(t, [5]int64{25, 22, 0, 1, 2}, [5]int64{res.Position, res.Created, res.Updated, res.Unchanged, res.Failed})
	require.Len(t, res.Errors, 2)
	assert.Equal(t, int64(3), res.Errors[0].Position)
	assert.Equal(t, int64(17), res.Errors[1].Position)
	assert.True(t, is[*schema.ValidationError](res.Errors[0]))
	assert.True(t, is[*schema.SyntaxError](res.Errors[1].Err))
	assert.Contains(t, res.Errors[1].Error(), "document at position 17: ")

	again, err := c.Import(ctx, tenant, documents(docs...), &resource.ImportOptions{MaxErrors: 1})
	require.NoError(t, err)
	assert.Equal(t, [5]int64{25, 0, 0, 23, 2}, [5]int64{again.Position, again.Created, again.Updated, again.Unchanged, again.Failed})
	assert.Len(t, again.Errors, 1, "all are counted, one is kept")
	assert.Equal(t, []string{"get 23"}, store.take(), "nothing is written")
	none, err := c.Import(ctx, tenant, documents(docs...), &resource.ImportOptions{MaxErrors: -1})
	require.NoError(t, err)
	assert.Empty(t, none.Errors)

	rejected, err := c.Import(ctx, tenant, documents(docs...), &resource.ImportOptions{Create: reject})
	require.NoError(t, err)
	assert.EqualValues(t, 25, rejected.Failed)
	dry, err := c.Import(ctx, storage.TenantOf("platform", "other"), documents(docs...), &resource.ImportOptions{Create: resource.CreateOptions{DryRun: true}})
	require.NoError(t, err)
	assert.EqualValues(t, 22, dry.Created)
	assert.Zero(t, count(t, store.Store, storage.TenantOf("platform", "other"), schema.Customers()))

	empty, err := c.Import(ctx, tenant, documents(), nil)
	require.NoError(t, err)
	assert.Equal(t, &resource.ImportResult{}, empty)
	_, err = c.Import(ctx, storage.Tenant{}, documents(docs...), nil)
	assert.ErrorIs(t, err, storage.ErrInvalid)
}

// TestImportErrors: what ends an import, and what does not.
func TestImportErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	sequence := func(errs map[int]error) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			for i, d := range importDocs(25) {
				if !yield([]byte(d), errs[i]) {
					return
				}
			}
		}
	}
	c, store := customers(t)
	res, err := c.Import(ctx, tenant, sequence(map[int]error{5: fmt.Errorf("%w: 3 columns", resource.ErrDocument), 13: broken}), &resource.ImportOptions{BatchSize: 10})
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, [3]int64{13, 12, 1}, [3]int64{res.Position, res.Created, res.Failed}, "what was read before is written")
	assert.ErrorIs(t, res.Errors[0], resource.ErrDocument)
	assert.Equal(t, 12, count(t, store, tenant, schema.Customers()))
	res, err = c.Import(ctx, tenant, sequence(nil), &resource.ImportOptions{BatchSize: 10, Position: res.Position})
	require.NoError(t, err)
	assert.Equal(t, [2]int64{25, 12}, [2]int64{res.Position, res.Created}, "and the rest by the next import")

	// Also where documents are left out: nothing behind a failure was seen, and
	// the next import must not begin before this one should have.
	for _, at := range []int{0, 5, 12} {
		failing := func(yield func([]byte, error) bool) {
			for i, d := range importDocs(25) {
				if i == at {
					yield(nil, broken)
					return
				}
				if !yield([]byte(d), nil) {
					return
				}
			}
		}
		res, err = c.Import(ctx, tenant, failing, &resource.ImportOptions{Position: 13})
		assert.ErrorIs(t, err, broken, "at %d", at)
		assert.Equal(t, &resource.ImportResult{Position: 13}, res, "at %d", at)
	}
	ended, end := context.WithCancel(ctx)
	end()
	res, err = c.Import(ended, tenant, sequence(nil), &resource.ImportOptions{Position: 25})
	assert.ErrorIs(t, err, context.Canceled, "the end of the context")
	assert.EqualValues(t, 25, res.Position)
	res, err = c.Import(ctx, storage.Tenant{}, sequence(nil), &resource.ImportOptions{Position: 13})
	assert.ErrorIs(t, err, storage.ErrInvalid)
	assert.EqualValues(t, 13, res.Position)
	res, err = c.Import(ctx, tenant, sequence(map[int]error{5: resource.ErrDocument}), &resource.ImportOptions{Position: 30})
	require.NoError(t, err)
	assert.EqualValues(t, 25, res.Position, "the sequence is shorter than that")

	var handed []int64
	enough := errors.New("enough")
	res, err = c.Import(ctx, tenant, sequence(map[int]error{2: resource.ErrDocument, 4: resource.ErrDocument, 6: resource.ErrDocument}), &resource.ImportOptions{
		BatchSize: 10,
		OnError: func(e resource.DocumentError) error {
			if handed = append(handed, e.Position); len(handed) == 2 {
				return enough
			}
			return nil
		},
	})
	assert.ErrorIs(t, err, enough)
	assert.Equal(t, []int64{2, 4}, handed, "none after it said stop")
	assert.Equal(t, [4]int64{4, 6, 1, 1}, [4]int64{res.Position, res.Unchanged, res.Created, res.Failed}, "the one that was not reported is not done")
	assert.Empty(t, res.Errors)
}

// TestImportResumes: a store that fails now and then; each import goes on where
// the last one ended, and in the end everything is there.
func TestImportResumes(t *testing.T) {
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
			c := open(t, schema.Customers(), store, fixed)
			docs := importDocs(100)
			opts := &resource.ImportOptions{BatchSize: 10}
			var done int64
			ended := 0
			for range 100 {
				res, err := c.Import(ctx, tenant, documents(docs...), opts)
				assert.GreaterOrEqual(t, res.Position, opts.Position)
				assert.Zero(t, res.Failed, "a document that may work another time has not failed")
				done += res.Created + res.Updated
				opts.Position = res.Position
				if err == nil {
					break
				}
				ended++
				failing = ended < 10 && fault != storage.ErrConflict // which takes 256 attempts
				assert.ErrorIs(t, err, fault)
				assert.NotContains(t, err.Error(), "c-0")
			}
			assert.EqualValues(t, 100, opts.Position)
			assert.Positive(t, ended)
			assert.Equal(t, 100, count(t, inner, tenant, schema.Customers()))
			if fault != storage.ErrUnknownOutcome {
				assert.EqualValues(t, 100, done, "each counted once, by the import that stored it")
			}
		})
	}
	cancelled, cancel := context.WithCancel(ctx)
	c, _ := customers(t)
	res, err := c.Import(cancelled, tenant, documents(importDocs(30)...), &resource.ImportOptions{BatchSize: 10, Progress: func(resource.ImportResult) { cancel() }})
	assert.ErrorIs(t, err, context.Canceled)
	assert.EqualValues(t, 10, res.Position)
}

// TestImportMemory: batches are cut by their bytes, too.
func TestImportMemory(t *testing.T) {
	store := &batching{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	big := func(i, size int) string {
		return fmt.Sprintf(`{"customerId":"c-%d","firstName":"%s","lastName":"x","createdAt":"2024-05-01T10:00:00Z"}`, i, bytes.Repeat([]byte("x"), size))
	}
	var docs []string
	for i := range 10 {
		docs = append(docs, big(i, 1<<20))
	}
	docs = append(docs, big(10, 9<<20), big(11, 1))
	res, err := c.Import(ctx, tenant, documents(docs...), nil)
	require.NoError(t, err)
	assert.EqualValues(t, 12, res.Created)
	assert.Equal(t, []string{"get 7", "put 7", "get 3", "put 3", "get 1", "put 1", "get 1", "put 1"}, store.take())
}

// TestImportInvisibleIDs: rows whose id is blank do not become one resource.
func TestImportInvisibleIDs(t *testing.T) {
	c, store := customers(t)
	blank := strings.Replace(cust(``), "c-1", " ", 1)
	res, err := c.Import(ctx, tenant, documents(blank, cust(``), blank), nil)
	require.NoError(t, err)
	assert.Equal(t, [2]int64{1, 2}, [2]int64{res.Created, res.Failed})
	assert.Equal(t, []string{"/customerId external_id"}, violations(res.Errors[0]))
	assert.Equal(t, 1, count(t, store, tenant, schema.Customers()))
}
