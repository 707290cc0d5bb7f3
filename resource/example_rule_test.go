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

// reachable is a rule: a customer who takes text messages has a phone number.
func reachable(merged, stored []byte) []schema.Violation {
	if takesNoText(merged) || stored != nil && !takesNoText(stored) {
		return nil // also if the rule was broken before
	}
	return []schema.Violation{{
		Pointer: "/phone",
		Code:    "acme_reachable",
		Message: "needed by a customer who takes text messages",
	}}
}

func takesNoText(customer []byte) bool {
	optOut, phone := gjson.GetBytes(customer, "smsOptOut"), gjson.GetBytes(customer, "phone")
	return optOut.Bool() || phone.String() != ""
}

// ruledCustomers are customers for whom the rule holds.
func ruledCustomers() *schema.Schema {
	def := schema.Customers().Definition()
	def.Rules = []schema.Rule{{Name: "reachable", Check: reachable}}
	return schema.MustCompile(def)
}

// A rule that no keyword says, here one about two fields, is a function. It holds in every
// verb, in batches, imports and dry runs.
func Example_ruleOfYourOwn() {
	ctx, tenant := context.Background(), storage.TenantOf("acme", "corner-shop")
	customers, err := resource.NewCollection(ruledCustomers(), memory.New(), nil)
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
		[]byte(bob + `,"smsOptOut":false}`), []byte(bob + `,"smsOptOut":false,"phone":"555-0100"}`),
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
	// dry run: 400 [/phone: needed by a customer who takes text messages]
}

// TestRuleInDocs compares the rule in docs/schemas.md with the one here.
func TestRuleInDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/schemas.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_rule_test.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "\n// reachable is")
	code, _, found := strings.Cut(code, "\n// A rule that")
	assert.True(t, found && strings.Contains(string(page), "```go\n// reachable is"+code+"```\n"))
}
