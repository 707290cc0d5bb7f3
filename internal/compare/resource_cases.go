package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

const stdlibTyped = "encoding/json, data decoded"

var (
	ctx    = context.Background()
	tenant = storage.TenantOf("resourcekit", "compare")
	scope  = storage.Scope{Tenant: tenant, Schema: schema.Customers().ID()}
)

func resourceSources() []source {
	return []source{
		{name: "shape", open: func() (*set, error) { return shapeSet(customers(ascii, rotating)) }},
		{name: "create", open: func() (*set, error) {
			return createSet("create", "120 B requests, 350 B customers", schema.Customers(), goal{ofV: 4, allocs: 4}, 1_000, newCustomers())
		}},
		{name: "create-pretty", open: func() (*set, error) {
			return createSet("create-pretty", "the same, pretty-printed requests", schema.Customers(), goal{allocs: 4}, rotating, from(pretty(rotating)))
		}},
		{name: "create-fields", open: func() (*set, error) {
			return createSet("create-fields", "120 B requests, 450 B of 20 fields", ordersSchema(), goal{allocs: 4}, rotating, from(orders(rotating)))
		}},
		{name: "create-nested", open: func() (*set, error) {
			return createSet("create-nested", "250 B requests, 10 KB nested", nestedSchema(), goal{allocs: 4}, rotating, from(nested(rotating)))
		}},
		{name: "million", large: true, open: func() (*set, error) { return sizesSet(1_000, 1_000_000) }},
	}
}

// A published is the struct that a program would have for the shape that
// resource.AppendJSON writes.
type published struct {
	ID                  uuid.UUID `json:"id"`
	SchemaDefinitionID  uuid.UUID `json:"schemaDefinitionId"`
	SchemaDefinitionID2 uuid.UUID `json:"schema_definition_id"`
	PlatformID          uuid.UUID `json:"platformId"`
	PlatformID2         uuid.UUID `json:"platform_id"`
	BusinessID          uuid.UUID `json:"businessId"`
	BusinessID2         uuid.UUID `json:"business_id"`
	ResourceExternalID  string    `json:"resourceExternalId"`
	ResourceExternalID2 string    `json:"resource_external_id"`
	ResourceCreatedAt   string    `json:"createdAt"`
	ResourceCreatedAt2  string    `json:"created_at"`
	ResourceUpdatedAt   string    `json:"updatedAt"`
	ResourceUpdatedAt2  string    `json:"updated_at"`
	Data                any       `json:"data"` // a json.RawMessage or a *customer
}

type customer struct {
	CustomerID        string  `json:"customerId"`
	Email             *string `json:"email,omitempty"`
	Phone             *string `json:"phone,omitempty"`
	FirstName         string  `json:"firstName"`
	LastName          string  `json:"lastName"`
	EmailOptOut       *bool   `json:"emailOptOut,omitempty"`
	SMSOptOut         *bool   `json:"smsOptOut,omitempty"`
	CustomerDetailURL *string `json:"customerDetailUrl,omitempty"`
	CreatedAt         string  `json:"createdAt"`
}

func publish(r *resource.Resource, data any) published {
	const layout = "2006-01-02T15:04:05.000Z"
	created, updated := r.CreatedAt().Format(layout), r.UpdatedAt().Format(layout)
	key := r.Key()
	return published{
		r.ID(), key.Schema, key.Schema, key.Tenant.Platform, key.Tenant.Platform, key.Tenant.Business, key.Tenant.Business,
		key.ExternalID, key.ExternalID, created, created, updated, updated, data,
	}
}

func shapeSet(inputs []input) (*set, error) {
	c, _, err := newCollection(schema.Customers())
	if err != nil {
		return nil, err
	}
	list, data := make([]*resource.Resource, len(inputs)), make([][]byte, len(inputs))
	s := &set{name: "shape", title: "resources with 350 B customers"}
	for i, in := range inputs {
		res, err := c.Create(ctx, tenant, in.target, nil)
		if err != nil {
			return nil, err
		}
		list[i], data[i] = &res.Resource, res.Data()
		s.bytes += len(list[i].AppendJSON(nil, nil)) / len(inputs)
	}
	var dst []byte
	s.contenders = []contender{
		{name: "Resource.AppendJSON", goal: &goal{rival: stdlib, times: 40}, run: func(i int) ([]byte, error) {
			dst = list[i%len(list)].AppendJSON(dst[:0], nil)
			return dst, nil
		}},
		{name: stdlib, run: func(i int) ([]byte, error) {
			return json.Marshal(publish(list[i%len(list)], json.RawMessage(data[i%len(list)])))
		}},
		{name: stdlibTyped, run: func(i int) ([]byte, error) {
			var typed customer
			if err := json.Unmarshal(data[i%len(list)], &typed); err != nil {
				return nil, err
			}
			return json.Marshal(publish(list[i%len(list)], &typed))
		}},
	}
	s.contenders = append(s.contenders, yardsticks(func(i int) (document, patch []byte) { return data[i%len(list)], nil })...)
	return s, nil
}

func newCollection(s *schema.Schema) (*resource.Collection, *memory.Store, error) {
	store := memory.New()
	c, err := resource.NewCollection(s, store, nil)
	return c, store, err
}

// createSet measures an update of an existing resource with everything that
// belongs to it: reading the request, the lock, the store, the merge, the
// judgement, the result. Each call changes something.
func createSet(name, title string, s *schema.Schema, g goal, n int, next func(i int) input) (*set, error) {
	c, _, inputs, err := filled(s, n, rotating, next)
	if err != nil {
		return nil, err
	}
	return &set{name: name, title: title, bytes: averageBytes(inputs), contenders: append([]contender{
		{name: "Collection.Create", goal: &g, run: creating(c, inputs)},
	}, yardsticks(func(i int) (document, patch []byte) {
		in := &inputs[i%len(inputs)]
		return in.target, in.patch
	})...)}, nil
}

// sizesSet measures the same in a small and a large store, and a page of each.
func sizesSet(small, large int) (*set, error) {
	s := &set{name: "million", bigHeap: true, title: fmt.Sprintf("%d resources against %d", large, small)}
	var names [2][2]string
	for k, n := range [2]int{small, large} {
		// The large store is visited in many places that lie far apart.
		c, store, inputs, err := filled(schema.Customers(), n, min(n, 1<<14), newCustomers())
		if err != nil {
			return nil, err
		}
		names[k] = [2]string{fmt.Sprintf("Collection.Create, %d", n), fmt.Sprintf("a page of 100, %d", n)}
		creator := contender{name: names[k][0], run: creating(c, inputs)}
		cursors, err := fullPages(store, inputs)
		if err != nil {
			return nil, err
		}
		pager := contender{name: names[k][1], run: func(i int) ([]byte, error) {
			_, err := store.List(ctx, scope, pageAfter(cursors[i%len(cursors)]))
			return nil, err
		}}
		if k == 1 {
			creator.goal = &goal{rival: names[0][0], times: 1. / 3, allocs: 4}
			pager.goal = &goal{rival: names[0][1], times: 1. / 3, allocs: -1}
		}
		s.contenders = append(s.contenders, creator, pager)
	}
	return s, nil
}

const pageSize = 100

func pageAfter(id string) storage.Range {
	return storage.Range{After: storage.Position{ExternalID: id}, Limit: pageSize}
}

// fullPages returns the ids of the inputs that a whole page follows.
func fullPages(store storage.Store, inputs []input) ([]string, error) {
	var cursors []string
	for _, in := range inputs {
		id := gjson.GetBytes(in.target, "customerId").Str
		page, err := store.List(ctx, scope, pageAfter(id))
		if err != nil {
			return nil, err
		}
		if len(page.Records) == pageSize {
			cursors = append(cursors, id)
		}
	}
	return cursors, nil
}

// filled returns a collection of n resources and its store, and visits of them,
// spread evenly, in an order that has nothing to do with theirs.
func filled(
	s *schema.Schema, n, visits int, next func(i int) input,
) (*resource.Collection, *memory.Store, []input, error) {
	c, store, err := newCollection(s)
	if err != nil {
		return nil, nil, nil, err
	}
	var inputs []input
	for i := range n {
		in := next(i)
		if _, err := c.Create(ctx, tenant, in.target, nil); err != nil {
			return nil, nil, nil, err
		}
		if i*visits/n != (i+1)*visits/n {
			inputs = append(inputs, in)
		}
	}
	r := seed(uint64(n))
	r.Shuffle(len(inputs), func(i, j int) { inputs[i], inputs[j] = inputs[j], inputs[i] })
	return c, store, inputs, nil
}

// newCustomers makes customers one by one, for there may be many.
func newCustomers() func(i int) input {
	r := seed(1)
	return func(i int) input { return newCustomer(ascii, r, i) }
}

func from(list []input) func(i int) input { return func(i int) input { return list[i] } }

// creating returns a run that applies the two patches of each input in turns.
func creating(c *resource.Collection, inputs []input) func(int) ([]byte, error) {
	return func(i int) ([]byte, error) {
		in := &inputs[i%len(inputs)]
		request := in.patch
		if i/len(inputs)%2 == 1 {
			request = in.other
		}
		res, err := c.Create(ctx, tenant, request, nil)
		if err == nil && res.Outcome != resource.Updated {
			err = fmt.Errorf("outcome %v, want %v", res.Outcome, resource.Updated)
		}
		return nil, err
	}
}
