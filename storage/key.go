package storage

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// MaxExternalID is the length of the longest external id, in bytes.
const MaxExternalID = 512

// Tenant is a business on a platform. Both parts are needed, and neither may be the zero
// UUID.
type Tenant struct {
	Platform uuid.UUID `json:"platformId"`
	Business uuid.UUID `json:"businessId"`
}

// tenantNamespace is the name space of platform names in TenantOf: the version 5 UUID of
// the DNS name tenants.resourcekit.example.com. It decides the keys of all tenants with
// names, so it can never change.
var tenantNamespace = uuid.MustParse("fd35fa97-ce61-5e72-becc-e1e0987b4bd2")

// TenantOf returns the tenant with these names, for services whose tenants have names and
// no UUIDs. Equal names are equal tenants, on every machine and for ever.
//
// Both parts are version 5 UUIDs (RFC 9562, section 5.5). Platform is that of the
// platform's name in the name space fd35fa97-ce61-5e72-becc-e1e0987b4bd2, Business that
// of the business's name in the name space Platform; so businesses of one name on two
// platforms differ. Names are compared byte for byte, without case folding, trimming or
// Unicode normalization.
//
// An empty name becomes the zero UUID, and so a tenant that every store refuses: a
// missing name must not become a tenant that all such callers share.
func TenantOf(platform, business string) Tenant {
	var t Tenant
	if platform == "" {
		return t
	}
	t.Platform = uuid.NewSHA1(tenantNamespace, []byte(platform))
	if business != "" {
		t.Business = uuid.NewSHA1(t.Platform, []byte(business))
	}
	return t
}

// Validate returns nil, or ErrInvalid if the platform or the business is the
// zero UUID.
func (t Tenant) Validate() error {
	switch {
	case t.Platform == uuid.Nil:
		return invalid("the tenant has no platform id")
	case t.Business == uuid.Nil:
		return invalid("the tenant has no business id")
	}
	return nil
}

// Scope is one tenant's records of one schema.
type Scope struct {
	Tenant Tenant
	Schema uuid.UUID
}

// Validate returns nil, or ErrInvalid if the tenant is not valid or the schema
// id is the zero UUID.
func (s Scope) Validate() error {
	if err := s.Tenant.Validate(); err != nil {
		return err
	}
	if s.Schema == uuid.Nil {
		return invalid("the schema id is zero")
	}
	return nil
}

// Sum returns the SHA-256 of the platform, the business and the schema id, 16 bytes each:
// one value in their place, for the key of a table or a cursor.
func (s Scope) Sum() [sha256.Size]byte {
	whole := make([]byte, 0, 3*16)
	whole = append(whole, s.Tenant.Platform[:]...)
	whole = append(whole, s.Tenant.Business[:]...)
	whole = append(whole, s.Schema[:]...)
	return sha256.Sum256(whole)
}

// Key is the identity of a record. Keys are equal if all their parts are,
// external ids compared as bytes: "A" and "a", "x" and "x ", and the two ways
// to write an é are different ids.
type Key struct {
	Tenant     Tenant
	Schema     uuid.UUID
	ExternalID string // 1 to MaxExternalID bytes of valid UTF-8 without NUL
}

// String returns the tenant, the schema and the length of the external id, which itself
// may be personal data: "platform/business/schema/(3 bytes)". So a key can be logged. The
// id is in the field.
func (k Key) String() string {
	return fmt.Sprintf("%v/%v/%v/(%d bytes)", k.Tenant.Platform, k.Tenant.Business, k.Schema, len(k.ExternalID))
}

// GoString is String, for the verb %#v.
func (k Key) GoString() string { return k.String() }

// LogValue is String, for log/slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Scope returns the scope that the key is in.
func (k Key) Scope() Scope { return Scope{Tenant: k.Tenant, Schema: k.Schema} }

// Compare returns -1 if k comes before other, 0 if they are equal, and 1 if k comes
// after: by platform, business, schema and external id, each in the order of bytes.
func (k Key) Compare(other Key) int {
	return cmp.Or(
		bytes.Compare(k.Tenant.Platform[:], other.Tenant.Platform[:]),
		bytes.Compare(k.Tenant.Business[:], other.Tenant.Business[:]),
		bytes.Compare(k.Schema[:], other.Schema[:]),
		strings.Compare(k.ExternalID, other.ExternalID),
	)
}

// Validate returns nil, or ErrInvalid if the scope is not valid or the external id is not
// 1 to MaxExternalID bytes of valid UTF-8 without NUL. The error's text says which, and
// does not have the id.
func (k Key) Validate() error {
	if err := k.Scope().Validate(); err != nil {
		return err
	}
	return checkExternalID(k.ExternalID)
}

func checkExternalID(id string) error {
	switch {
	case id == "":
		return invalid("the external id is empty")
	case len(id) > MaxExternalID:
		return invalid("the external id is longer than 512 bytes")
	case strings.IndexByte(id, 0) >= 0:
		return invalid("the external id holds a NUL")
	case !utf8.ValidString(id):
		return invalid("the external id is not valid UTF-8")
	}
	return nil
}
