package resource_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// reachable is the rule: a customer who takes text messages has a phone number.
func reachable(customer []byte) error {
	optOut, phone := gjson.GetBytes(customer, "smsOptOut"), gjson.GetBytes(customer, "phone")
	if optOut.Bool() || phone.String() != "" {
		return nil
	}
	return &schema.ValidationError{Violations: []schema.Violation{{
		Pointer: "/phone",
		Code:    "acme_reachable",
		Message: "needed by a customer who takes text messages",
	}}}
}

// A ruledStore refuses documents that break a rule.
type ruledStore struct {
	storage.Store
	rule func(document []byte) error
}

// Write is the only method of a store that takes documents.
func (s ruledStore) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	errs := make([]error, len(writes))
	var obey []storage.Write
	var at []int // their places in writes
	for i, w := range writes {
		if !w.Delete {
			errs[i] = s.rule(w.Record.Data)
		}
		if errs[i] == nil {
			obey, at = append(obey, w), append(at, i)
		}
	}
	if len(obey) == len(writes) {
		return s.Store.Write(ctx, writes)
	}
	failed, err := s.Store.Write(ctx, obey)
	if err != nil {
		return nil, err
	}
	for k, err := range failed {
		errs[at[k]] = err
	}
	return errs, nil
}

// A rule that no schema can say, here one about two fields, is checked by a store in
// front of the store. It holds in every verb but dry runs.
func Example_ruleOfYourOwn() {
	ctx, tenant := context.Background(), storage.TenantOf("acme", "corner-shop")
	customers, err := resource.NewCollection(schema.Customers(), ruledStore{memory.New(), reachable}, nil)
	if err != nil {
		panic(err)
	}
	show := func(verb string, res *resource.Result, err error) {
		if err != nil {
			fmt.Println(verb, httpapi.ProblemOf(err).Status, httpapi.ProblemOf(err).Errors)
			return
		}
		fmt.Println(verb, res.Outcome)
	}
	ada := `{"customerId":"c-1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z"`
	bob := `{"customerId":"c-2","firstName":"Bob","lastName":"Hope","createdAt":"2024-05-01T10:00:00Z"`
	patch := []byte(`{"smsOptOut":false}`)

	res, err := customers.Create(ctx, tenant, []byte(ada+`}`), nil)
	show("create:", res, err)
	res, err = customers.Patch(ctx, tenant, "c-1", patch, nil)
	show("patch:", res, err)
	batch, err := customers.CreateBatch(ctx, tenant, [][]byte{
		[]byte(ada + `,"smsOptOut":false}`), []byte(bob + `,"smsOptOut":false,"phone":"555-0100"}`),
	}, nil)
	if err != nil {
		panic(err)
	}
	for _, item := range batch {
		show("batch:", item.Result, item.Err)
	}
	res, err = customers.Patch(ctx, tenant, "c-1", patch, &resource.WriteOptions{DryRun: true})
	show("dry run:", res, err)
	// Output:
	// create: created
	// patch: 400 [/phone: needed by a customer who takes text messages]
	// batch: 400 [/phone: needed by a customer who takes text messages]
	// batch: created
	// dry run: updated
}

// TestRuleInDocs compares the rule and its store in docs/schemas.md with those here.
func TestRuleInDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/schemas.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_rule_test.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "\n// reachable is")
	code, _, found := strings.Cut(code, "\n// A rule that")
	assert.True(t, found && strings.Contains(string(page), "```go\n// reachable is"+code+"```\n"))
}
