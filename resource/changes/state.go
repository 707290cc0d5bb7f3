package changes

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"example.com/resourcekit/resource/internal/system"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// A state is the record of a consumer. Only its owner changes it, except for Release.
type state struct {
	// Position is where the consumer is: all changes up to it are delivered, or wait with
	// those of a parked resource.
	Position storage.Cursor `json:"position"`

	// Resume is where it goes on after OnExpired, which is under way; otherwise zero.
	Resume storage.Cursor `json:"resume,omitzero"`

	Fence   uint64        `json:"fence"`
	Owner   string        `json:"owner,omitempty"`
	Lease   time.Duration `json:"leaseNanoseconds"` // of the owner, for those that wait
	Renewed time.Time     `json:"renewed"`

	Delivered uint64   `json:"delivered"`
	Failed    uint64   `json:"failed"`
	Salt      []byte   `json:"salt"` // of the hashes in parked
	Parked    []parked `json:"parked,omitempty"`
}

// A parked resource. It is found by the hash of its key, since its external id must not be
// here: Erase knows nothing of this record. If the change that failed was redacted, it is
// found by its ID alone.
type parked struct {
	Platform uuid.UUID `json:"platform"`
	Business uuid.UUID `json:"business"`
	Schema   uuid.UUID `json:"schema"`
	ID       uuid.UUID `json:"id"`  // of the first change that waits
	Key      []byte    `json:"key"` // the hash, or the ID

	// Redacted is the external id that the changes of the key have that were erased while
	// they waited, once it is known.
	Redacted string `json:"redacted,omitempty"`

	// After is a place before the change that failed, and after those of the resource
	// that were delivered.
	After storage.Cursor `json:"after"`

	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next,omitzero"`
	Error    string    `json:"error"`
}

// The bounds of a state: with them it is below 1 MiB, which each store takes.
const (
	maxParked = 1000
	maxError  = 200 // bytes of an error
	keySize   = 16  // bytes of a hash and of the salt
)

func (p *parked) scope() storage.Scope {
	return storage.Scope{Tenant: storage.Tenant{Platform: p.Platform, Business: p.Business}, Schema: p.Schema}
}

// newState returns the state of a new consumer that begins at a place.
func newState(at storage.Cursor) state {
	salt := make([]byte, keySize)
	_, _ = rand.Read(salt) // never fails
	return state{Position: at, Salt: salt}
}

// hashOf returns what a parked resource is found by.
func hashOf(salt []byte, key storage.Key) []byte {
	mac := hmac.New(sha256.New, salt)
	scope := key.Scope().Sum()
	mac.Write(scope[:])
	mac.Write([]byte(key.ExternalID))
	return mac.Sum(nil)[:keySize]
}

// find returns the parked resource with a key, or nil.
func (st *state) find(key []byte) *parked {
	return st.first(func(p *parked) bool { return bytes.Equal(p.Key, key) })
}

// holder returns the parked resource that a change waits with, or nil: that of its ID, or
// else of its key, which has another name in a change that was redacted.
func (st *state) holder(c *storage.Change) *parked {
	if len(st.Parked) == 0 {
		return nil
	}
	if p := st.first(func(p *parked) bool { return p.ID == c.ID }); p != nil {
		return p
	}
	if c.Redacted {
		return st.first(func(p *parked) bool { return p.Redacted == c.Key.ExternalID })
	}
	return st.find(hashOf(st.Salt, c.Key))
}

func (st *state) first(is func(*parked) bool) *parked {
	for i := range st.Parked {
		if p := &st.Parked[i]; is(p) {
			return p
		}
	}
	return nil
}

// needs returns the places after which the log is needed, in their order.
func (st *state) needs() []storage.Cursor {
	needs := []storage.Cursor{st.Position}
	if st.Resume != (storage.Cursor{}) {
		needs = append(needs, st.Resume)
	}
	for i := range st.Parked {
		needs = append(needs, st.Parked[i].After)
	}
	slices.SortFunc(needs, func(a, b storage.Cursor) int { return cmp.Compare(a.Position, b.Position) })
	return needs
}

// record returns the record with the state.
func (st *state) record() (storage.Record, error) {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false) // so that a byte of an error takes two at most
	err := encoder.Encode(st)
	return storage.Record{ID: system.ID, CreatedAt: now(), UpdatedAt: now(), Data: data.Bytes()}, err
}

func parse(rec storage.Record) (st state, err error) {
	if err = json.Unmarshal(rec.Data, &st); err != nil {
		err = fmt.Errorf("changes: the record of a consumer is damaged: %w", err)
	}
	return st, err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// prefix is that of the external ids of consumers' records.
const prefix = "consumer/"

// keyOf returns the key of the record of a consumer, or ErrInvalid for its name.
func keyOf(name string) (storage.Key, error) {
	isOther := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	}
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, isOther) {
		return storage.Key{}, invalid("the name of a consumer is not 1 to 100 letters, digits, '-', '_' and '.'")
	}
	return system.StoreKey(prefix + name), nil
}

// textOf returns the first bytes of an error on one line.
func textOf(err error) string {
	text := err.Error()
	text = text[:min(len(text), maxError)] // also cuts a character
	text = strings.ToValidUTF8(text, "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
