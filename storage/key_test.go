package storage_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// The tenants of names are in stored keys: these values can never change. They
// were computed with another implementation of RFC 9562 (Python's uuid5).
func TestTenantOfIsPinned(t *testing.T) {
	for _, tt := range []struct{ platform, business, wantPlatform, wantBusiness string }{
		{"acme", "main", "0d50def6-918f-5964-9489-d43fbd4d688e", "aad374e1-5d54-5827-b1e9-2ae8f09b8623"},
		{"globex", "main", "9c15651d-aff8-5b80-946b-3c30d6f9a799", "955693ee-137f-5c54-8d07-e0816ebd3a64"},
		{"acme", "second", "0d50def6-918f-5964-9489-d43fbd4d688e", "ecd285bc-1e6f-5934-88d9-c9d691a3435a"},
		{"ac", "memain", "c6b13634-6378-518b-ae2f-7c1b3b5d4fb3", "663f2159-552c-5fa1-8845-22e07adc48fd"},
		{"Ä", "ö", "4617cc7c-fd03-541a-9f2b-916bf7050169", "e577264e-b264-5ff3-95ed-09fed2673a71"},
	} {
		got := storage.TenantOf(tt.platform, tt.business)
		require.Equal(t, tt.wantPlatform, got.Platform.String())
		require.Equal(t, tt.wantBusiness, got.Business.String())
		require.NoError(t, got.Validate())
	}
	namespace := uuid.NewSHA1(uuid.NameSpaceDNS, []byte("tenants.resourcekit.example.com"))
	require.Equal(t, "fd35fa97-ce61-5e72-becc-e1e0987b4bd2", namespace.String(), "the name space, as documented")
}

// Sums of scopes and redacted ids are stored, too. These were computed with Python's
// hashlib and hmac.
func TestHashesArePinned(t *testing.T) {
	require.Equal(t, "d21095154b4856e95ccadd906981258b96f9bf5a7986e320345a257329413187", fmt.Sprintf("%x", scope.Sum()))
	require.Equal(t, "redacted-13d23e3ec7fbe86b147e935768017a0e", storage.RedactedID([]byte("secret"), key("customer-é")))
	require.NotEqual(t, storage.RedactedID([]byte("secret"), key("a")), storage.RedactedID([]byte("secret"), key("b")))
	require.NotEqual(t, storage.RedactedID([]byte("secret"), key("a")), storage.RedactedID([]byte("other"), key("a")))
	require.NoError(t, key(storage.RedactedID(nil, key(strings.Repeat("x", 512)))).Validate())
}

func TestTenantOfNothing(t *testing.T) {
	for _, names := range [][2]string{{"", ""}, {"", "main"}, {"acme", ""}} {
		require.ErrorIs(t, storage.TenantOf(names[0], names[1]).Validate(), storage.ErrInvalid)
	}
}

func TestKeyValidate(t *testing.T) {
	set := func(change func(*storage.Key)) storage.Key {
		k := key("secret-id")
		change(&k)
		return k
	}
	id := func(id string) storage.Key { return set(func(k *storage.Key) { k.ExternalID = id }) }
	for _, tt := range []struct {
		name string
		key  storage.Key
		want string // "" = valid
	}{
		{"valid", key("x"), ""},
		{"longest", id(strings.Repeat("x", 512)), ""},
		{"longest in bytes", id(strings.Repeat("é", 256)), ""},
		{"controls and separators", id("\x01/\n ..%00"), ""},
		{"zero", storage.Key{}, "the tenant has no platform id"},
		{"no platform", set(func(k *storage.Key) { k.Tenant.Platform = uuid.Nil }), "the tenant has no platform id"},
		{"no business", set(func(k *storage.Key) { k.Tenant.Business = uuid.Nil }), "the tenant has no business id"},
		{"no schema", set(func(k *storage.Key) { k.Schema = uuid.Nil }), "the schema id is zero"},
		{"empty", id(""), "the external id is empty"},
		{"too long", id(strings.Repeat("secret-id", 57)), "the external id is longer than 512 bytes"},
		{"too long in bytes", id(strings.Repeat("é", 256) + "x"), "the external id is longer than 512 bytes"},
		{"NUL", id("secret-id\x00"), "the external id holds a NUL"},
		{"invalid UTF-8", id("secret-id\xff"), "the external id is not valid UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.key.Validate()
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, storage.ErrInvalid)
			require.EqualError(t, err, "invalid argument: "+tt.want)
		})
	}
	require.Equal(t, scope, key("x").Scope())
}

func TestKeyCompare(t *testing.T) {
	a, b := uuid.MustParse("0a000000-0000-4000-8000-000000000000"), uuid.MustParse("0b000000-0000-4000-8000-000000000000")
	ascending := []storage.Key{
		{},
		{ExternalID: "a"},
		{Schema: a},
		{Tenant: storage.Tenant{Business: a}},
		{Tenant: storage.Tenant{Business: b}},
		{Tenant: storage.Tenant{Platform: a}, ExternalID: "B"},
		{Tenant: storage.Tenant{Platform: a}, ExternalID: "a"},
		{Tenant: storage.Tenant{Platform: a}, ExternalID: "a "},
		{Tenant: storage.Tenant{Platform: a}, ExternalID: "\u00e9"},
		{Tenant: storage.Tenant{Platform: a, Business: a}, Schema: b},
		{Tenant: storage.Tenant{Platform: a, Business: b}, Schema: a},
	}
	for i, x := range ascending {
		for j, y := range ascending {
			require.Equal(t, cmp.Compare(i, j), x.Compare(y), "%d, %d", i, j)
		}
	}
}
