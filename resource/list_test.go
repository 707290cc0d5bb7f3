package resource_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
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

// fillUp stores n customers, named so that their order is that of their numbers.
func fillUp(t testing.TB, c *resource.Collection, tenant storage.Tenant, n int) {
	t.Helper()
	for i := range n {
		_, err := c.Create(ctx, tenant, fmt.Appendf(nil,
			`{"customerId":"c-%06d","firstName":"Ada","lastName":"%d","email":"%d","emailOptOut":%t,"createdAt":"2024-05-01T10:00:00Z"}`,
			i, i%10, i, i%2 == 0), nil)
		require.NoError(t, err)
	}
}

// pages walks through a list and returns the external ids of each page.
func pages(t testing.TB, c *resource.Collection, opts resource.ListOptions) (ids [][]string) {
	t.Helper()
	for {
		page, err := c.List(ctx, tenant, &opts)
		require.NoError(t, err)
		ids = append(ids, idsOf(page.Resources))
		if opts.Cursor = page.Next; opts.Cursor == "" {
			return ids
		}
	}
}

func idsOf(list []*resource.Resource) []string {
	ids := []string{}
	for _, r := range list {
		ids = append(ids, r.Key().ExternalID)
	}
	return ids
}

func numbered(from, to, step int) []string {
	ids := []string{}
	for i := from; i < to; i += step {
		ids = append(ids, fmt.Sprintf("c-%06d", i))
	}
	return ids
}

func TestList(t *testing.T) {
	store := memory.New()
	for _, short := range []bool{false, true} {
		s := storage.Store(store)
		if short {
			s = storagetest.Faulty(store, storagetest.RandomPlan(1, storagetest.Rates{ShortPage: 0.8}))
		}
		c := open(t, schema.Customers(), s, fixed)
		fillUp(t, c, tenant, 250)
		for _, limit := range []int{0, 1, 7, 100, 249, 250, 251, 1000, 5000} {
			t.Run(fmt.Sprintf("limit %d, short=%v", limit, short), func(t *testing.T) {
				got := pages(t, c, resource.ListOptions{Limit: limit})
				assert.Equal(t, numbered(0, 250, 1), slices.Concat(got...))
				if limit == 0 {
					limit = 100
				}
				for _, page := range got {
					assert.LessOrEqual(t, len(page), limit)
					assert.NotEmpty(t, page)
				}
				if !short {
					assert.Len(t, got, (250+limit-1)/limit)
				}
			})
		}
	}
	c := open(t, schema.Customers(), store, fixed)
	page, err := c.List(ctx, storage.TenantOf("platform", "other"), nil)
	require.NoError(t, err)
	assert.Equal(t, &resource.Page{}, page, "a tenant without resources")
	_, err = c.List(ctx, tenant, &resource.ListOptions{Limit: -1})
	assert.ErrorIs(t, err, storage.ErrInvalid)
}

// TestListShape: a listed resource is the one that a get returns.
func TestListShape(t *testing.T) {
	c, store := customers(t)
	put(t, store, customerKey("c-1"), cust(`,"shoeSize":44`))
	got, err := c.Get(ctx, tenant, "c-1")
	require.NoError(t, err)
	page, err := c.List(ctx, tenant, nil)
	require.NoError(t, err)
	require.Len(t, page.Resources, 1)
	assert.Equal(t, got, page.Resources[0])
}

func TestListFilter(t *testing.T) {
	c, _ := customers(t)
	fillUp(t, c, tenant, 250)
	for _, tt := range []struct {
		name   string
		filter []schema.Condition
		want   []string
	}{
		{"half", []schema.Condition{{Field: "emailOptOut", Value: true}}, numbered(0, 250, 2)},
		{"a tenth", []schema.Condition{{Field: "lastName", Value: "3"}}, numbered(3, 250, 10)},
		{"both", []schema.Condition{{Field: "lastName", Value: "4"}, {Field: "emailOptOut", Value: true}}, numbered(4, 250, 10)},
		{"one", []schema.Condition{{Field: "email", Value: "249"}}, numbered(249, 250, 1)},
		{"a default that was filled in", []schema.Condition{{Field: "smsOptOut", Value: true}}, numbered(0, 250, 1)},
		{"none", []schema.Condition{{Field: "email", Value: "250"}}, []string{}},
		{"nobody", []schema.Condition{{Field: "lastName", Value: "4"}, {Field: "emailOptOut", Value: false}}, []string{}},
	} {
		for _, limit := range []int{1, 3, 100, 1000} {
			t.Run(fmt.Sprintf("%s, limit %d", tt.name, limit), func(t *testing.T) {
				got := pages(t, c, resource.ListOptions{AllowScan: true, Limit: limit, Filter: tt.filter})
				assert.Equal(t, tt.want, append([]string{}, slices.Concat(got...)...))
				for i, page := range got {
					assert.LessOrEqual(t, len(page), limit)
					if i < len(got)-1 {
						assert.Len(t, page, limit, "no page is short while the budget lasts")
					}
				}
			})
		}
	}
	_, err := c.List(ctx, tenant, &resource.ListOptions{AllowScan: true, Filter: []schema.Condition{{Field: "emial", Value: "x"}}})
	assert.True(t, is[*schema.ValidationError](err))
}

// TestListScanBudget: a page of a filter that finds nothing ends, and goes on
// where it ended.
func TestListScanBudget(t *testing.T) {
	store := &counting{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	const n = 10*storage.MaxPage + 500
	fillUp(t, c, tenant, n)
	filter := []schema.Condition{{Field: "email", Value: fmt.Sprint(n - 1)}}
	got := pages(t, c, resource.ListOptions{AllowScan: true, Filter: filter})
	assert.Len(t, got, 2)
	assert.Empty(t, got[0], "the budget was used up")
	assert.Equal(t, numbered(n-1, n, 1), got[1])
	assert.Equal(t, n, store.listed, "no resource was looked at twice")
}

// counting counts the records that lists return.
type counting struct {
	storage.Store
	listed int
}

func (s *counting) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	page, err := s.Store.List(ctx, scope, r)
	s.listed += len(page.Records)
	return page, err
}

// TestListMaxBytes: a page ends with the document that reaches MaxBytes, the walk
// misses none, and once the documents' size is known the store is hardly asked for
// more than a page holds.
func TestListMaxBytes(t *testing.T) {
	store := &counting{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	const n, size = 300, 16 << 10
	for i := range n {
		create(t, c, fmt.Sprintf(`{"customerId":"c-%06d","firstName":"%s","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`,
			i, strings.Repeat("x", size)))
	}
	for _, limit := range []int{10, 100, 1000} {
		for _, filter := range [][]schema.Condition{nil, {{Field: "lastName", Value: ""}}} {
			store.listed = 0
			got := pages(t, c, resource.ListOptions{AllowScan: true, Limit: limit, Filter: filter, MaxBytes: 1 << 20})
			assert.Equal(t, numbered(0, n, 1), slices.Concat(got...))
			for _, page := range got[:len(got)-1] {
				assert.Len(t, page, min(limit, 64))
			}
			assert.Less(t, store.listed, n+n/4, "records read")
		}
	}
	store.listed = 0
	_, err := c.List(ctx, tenant, &resource.ListOptions{Limit: 1000, MaxBytes: 1})
	require.NoError(t, err)
	assert.Equal(t, 1, store.listed)
	_, err = c.List(ctx, tenant, &resource.ListOptions{Limit: 1000, MaxBytes: math.MaxInt})
	require.NoError(t, err)
}

func TestCursor(t *testing.T) {
	store := memory.New()
	c := open(t, schema.Customers(), store, fixed)
	fillUp(t, c, tenant, 10)
	other := storage.TenantOf("platform", "other")
	fillUp(t, c, other, 10)
	def := schema.Customers().Definition()
	def.ID = secondID
	sibling := open(t, schema.MustCompile(def), store, fixed)
	fillUp(t, sibling, tenant, 10)
	optOut := []schema.Condition{{Field: "emailOptOut", Value: true}}

	next := func(c *resource.Collection, tenant storage.Tenant, filter []schema.Condition) string {
		page, err := c.List(ctx, tenant, &resource.ListOptions{AllowScan: true, Limit: 2, Filter: filter})
		require.NoError(t, err)
		require.NotEmpty(t, page.Next)
		return page.Next
	}
	good := next(c, tenant, nil)
	assert.Equal(t, good, next(c, tenant, nil), "equal pages have equal cursors")
	raw, err := base64.RawURLEncoding.DecodeString(good)
	require.NoError(t, err)
	edited := func(change func(b []byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change(slices.Clone(raw)))
	}
	for _, tt := range []struct{ name, cursor, want string }{
		{"of another tenant", next(c, other, nil), "of another list"},
		{"of another schema", next(sibling, tenant, nil), "of another list"},
		{"of a filter", next(c, tenant, optOut), "of another list"},
		{"of an old format", edited(func(b []byte) []byte { b[0] = 0; return b }), "of another version"},
		{"of a later format", edited(func(b []byte) []byte { b[0] = 9; return b }), "of another version"},
		{"without an id", edited(func(b []byte) []byte { return b[:13] }), "malformed"},
		{"cut", edited(func(b []byte) []byte { return b[:5] }), "malformed"},
		{"not base64", "!" + good, "malformed"},
		{"padded", good + "==", "malformed"},
		{"with blanks", good[:4] + "\n" + good[4:], "malformed"},
		{"with NUL", edited(func(b []byte) []byte { return append(b, 0) }), "malformed"},
		{"not UTF-8", edited(func(b []byte) []byte { return append(b, 0xff) }), "malformed"},
		{"too long", edited(func(b []byte) []byte { return append(b, strings.Repeat("x", 600)...) }), "malformed"},
		{"very long", strings.Repeat("A", 1<<20), "another version"},
		{"an external id", "c-000003", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, err := c.List(ctx, tenant, &resource.ListOptions{Cursor: tt.cursor})
			require.ErrorIs(t, err, resource.ErrCursor)
			assert.Nil(t, page)
			assert.ErrorContains(t, err, tt.want)
			assert.Less(t, len(err.Error()), 200)
			for _, err := range c.All(ctx, tenant, &resource.ListOptions{Cursor: tt.cursor}) {
				assert.ErrorIs(t, err, resource.ErrCursor)
			}
		})
	}
	// One that was made up shows the caller's own resources and nothing else.
	forged := edited(func(b []byte) []byte { return append(b[:13], "c-000007"...) })
	page, err := c.List(ctx, tenant, &resource.ListOptions{Cursor: forged})
	require.NoError(t, err)
	assert.Equal(t, numbered(8, 10, 1), idsOf(page.Resources))
	for _, r := range page.Resources {
		assert.Equal(t, tenant, r.Key().Tenant)
	}
	// A cursor outlives the resource that it names.
	for i := range 3 {
		_, err := c.Delete(ctx, tenant, fmt.Sprintf("c-%06d", i), nil)
		require.NoError(t, err)
	}
	page, err = c.List(ctx, tenant, &resource.ListOptions{Cursor: good, Limit: 3})
	require.NoError(t, err)
	assert.Equal(t, numbered(3, 6, 1), idsOf(page.Resources))
}

func TestAll(t *testing.T) {
	c, _ := customers(t)
	fillUp(t, c, tenant, 25)
	var got []*resource.Resource
	for r, err := range c.All(ctx, tenant, &resource.ListOptions{Limit: 4}) {
		require.NoError(t, err)
		got = append(got, r)
	}
	assert.Equal(t, numbered(0, 25, 1), idsOf(got))
	again := c.All(ctx, tenant, nil)
	for range 2 { // it can be gone through twice
		n := 0
		for r, err := range again {
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprintf("c-%06d", n), r.Key().ExternalID)
			if n++; n == 10 {
				break
			}
		}
		assert.Equal(t, 10, n)
	}
	page, err := c.List(ctx, tenant, &resource.ListOptions{Limit: 20})
	require.NoError(t, err)
	rest := 0
	for range c.All(ctx, tenant, &resource.ListOptions{Cursor: page.Next}) {
		rest++
	}
	assert.Equal(t, 5, rest)
}

// TestAllEndsWithItsError: one error, with what came before it.
func TestAllEndsWithItsError(t *testing.T) {
	store := memory.New()
	fillUp(t, open(t, schema.Customers(), store, fixed), tenant, 25)
	lists := 0
	c := open(t, schema.Customers(), storagetest.Faulty(store, func(op storagetest.Op) storagetest.Fault {
		if op.Name == "list" {
			if lists++; lists == 3 {
				return storagetest.Fault{Err: storage.ErrUnavailable}
			}
		}
		return storagetest.Fault{}
	}), fixed)
	var got []*resource.Resource
	var errs []error
	for r, err := range c.All(ctx, tenant, &resource.ListOptions{Limit: 10}) {
		if err != nil {
			assert.Nil(t, r)
			errs = append(errs, err)
			continue
		}
		got = append(got, r)
	}
	assert.Equal(t, numbered(0, 20, 1), idsOf(got))
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], storage.ErrUnavailable)

	cancelled, cancel := context.WithCancel(ctx)
	n := 0
	for _, err := range c.All(cancelled, tenant, &resource.ListOptions{Limit: 5}) {
		if n++; n == 5 {
			cancel()
		}
		if err != nil {
			assert.True(t, errors.Is(err, context.Canceled))
		}
	}
	cancel()
	assert.Equal(t, 6, n)
}

// FuzzCursor: no cursor panics, and none shows anything but the tenant's own.
func FuzzCursor(f *testing.F) {
	store := memory.New()
	c := open(f, schema.Customers(), store, fixed)
	fillUp(f, c, tenant, 5)
	fillUp(f, c, storage.TenantOf("platform", "other"), 5)
	page, err := c.List(ctx, tenant, &resource.ListOptions{Limit: 2})
	require.NoError(f, err)
	for _, seed := range []string{page.Next, "", "AQ", "AA", "=", strings.Repeat("A", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		page, err := c.List(ctx, tenant, &resource.ListOptions{Cursor: cursor})
		if err != nil {
			require.ErrorIs(t, err, resource.ErrCursor)
			return
		}
		require.Subset(t, numbered(0, 5, 1), idsOf(page.Resources))
		for _, r := range page.Resources {
			require.Equal(t, tenant, r.Key().Tenant)
		}
	})
}
