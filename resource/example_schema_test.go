package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/typed"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
)

// A field gets another name in three editions of the schema: one that declares
// both names, a loop over what is stored, and one without the old name.
func Example_renameAField() {
	ctx := context.Background()
	store, tenant := memory.New(), storage.TenantOf("acme", "corner-shop")
	edition := func(fields ...schema.Field) *resource.Collection {
		devices, err := resource.NewCollection(schema.MustCompile(schema.Definition{
			ID: uuid.MustParse("c2a9d7be-5f6b-4f39-9a52-8f3e1f0b6a77"), Name: "devices", ExternalID: "serial",
			Fields: append([]schema.Field{{Name: "serial", Type: schema.String, Required: true}}, fields...),
		}), store, nil)
		if err != nil {
			panic(err)
		}
		return devices
	}
	owner, ownerEmail := schema.Field{Name: "owner", Type: schema.String}, schema.Field{Name: "ownerEmail", Type: schema.String}

	devices := edition(owner)
	if _, err := devices.Create(ctx, tenant, []byte(`{"serial":"d-1","owner":"ada@example.com"}`), nil); err != nil {
		panic(err)
	}

	devices = edition(owner, ownerEmail)
	for again := true; again; {
		again = false
		for device, err := range devices.All(ctx, tenant, nil) {
			if err != nil {
				panic(err)
			}
			var old struct {
				Owner *string `json:"owner"`
			}
			if err := json.Unmarshal(device.Data(), &old); err != nil {
				panic(err)
			}
			if old.Owner == nil {
				continue
			}
			patch, err := typed.Encode(map[string]any{"owner": nil, "ownerEmail": *old.Owner})
			if err != nil {
				panic(err)
			}
			res, err := devices.Patch(ctx, tenant, device.Key().ExternalID, patch, &resource.WriteOptions{If: resource.AtRevision(device.Revision())})
			if errors.Is(err, resource.ErrPrecondition) { // a client was faster: look again
				again = true
				continue
			}
			if err != nil {
				panic(err)
			}
			fmt.Println("changed:", res.Changed(), "removed:", res.Removed())
		}
	}

	devices = edition(ownerEmail)
	device, err := devices.Get(ctx, tenant, "d-1")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", device.Data())
	// Output:
	// changed: [/ownerEmail] removed: [/owner]
	// {"serial":"d-1","ownerEmail":"ada@example.com"}
}
