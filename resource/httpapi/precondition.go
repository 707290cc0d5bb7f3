package httpapi

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage"
)

// ETag returns the entity tag of a resource with its quotes: a strong one (RFC
// 9110, section 8.8.3), made of the revision and never of the content, so that
// content which was changed and changed back has another tag. It is "" for a
// resource that is not stored, such as one that a dry run would create. The result
// of any other dry run has the revision from before it, and so the tag of what is
// stored: do not send it.
//
// The tag also depends on the tenant and the schema: they are chosen beside the
// path, and revisions of different tenants may be the same number.
func ETag(res *resource.Resource) string {
	return tagOf(storage.Scope{Tenant: res.Tenant(), Schema: res.SchemaID()}, res.Revision())
}

// tagOf returns the tag of a revision: the number in base 36, and 8 bytes of a
// hash of what it belongs to.
func tagOf(scope storage.Scope, revision storage.Revision) string {
	if revision == 0 {
		return ""
	}
	sum := scope.Sum()
	tag := make([]byte, 0, 32)
	tag = append(tag, '"')
	tag = strconv.AppendUint(tag, uint64(revision), 36)
	tag = append(tag, '-')
	tag = hex.AppendEncode(tag, sum[:8])
	return string(append(tag, '"'))
}

// ParseETag returns the revision in an entity tag that [ETag] has made for a
// resource of this tenant and schema: for the IfRevision of an item of a batch. ok is
// false for any other text, weak tags included: such a tag matches no resource, so
// fail the item with resource.ErrPrecondition.
func ParseETag(scope storage.Scope, tag string) (revision storage.Revision, ok bool) {
	digits, _, _ := strings.Cut(strings.TrimPrefix(tag, `"`), "-")
	n, err := strconv.ParseUint(digits, 36, 64)
	if err != nil || n == 0 || tagOf(scope, storage.Revision(n)) != tag {
		return 0, false
	}
	return storage.Revision(n), true
}

// Preconditions are what a request demands of the state of a resource by its
// header fields If-Match and If-None-Match (RFC 9110, section 13). The zero
// value demands nothing.
//
// Its methods are those of a Collection with one more error, when the
// preconditions do not hold: a [*resource.PreconditionError]. It comes behind
// ErrNotFound, and before violations, but for those of a create under
// resource.Reject, which may come first. A write is still one compare-and-swap: if
// another writer was faster, the preconditions are evaluated again against the new
// revision.
type Preconditions struct {
	match, noneMatch *tagList // nil when the field is absent
}

// Empty reports whether the request demands nothing.
func (p Preconditions) Empty() bool { return p == Preconditions{} }

// A tagList is the value of one of the two fields.
type tagList struct {
	any  bool // *
	tags []entityTag
}

// An entityTag is one of a request: with its quotes, and without the W/.
type entityTag struct {
	text string
	weak bool
}

// maxTags is how many entity tags one field may have.
const maxTags = 100

// ParsePreconditions returns what the request's If-Match and If-None-Match
// demand. The error is a [*Problem] with status 400 when one of them is neither
// "*" nor a list of entity tags, or has more than 100. Lines of the same name
// are one list. Tags that [ETag] has not made are allowed and match nothing.
// If-Modified-Since, If-Unmodified-Since and If-Range are ignored, since no
// answer has a Last-Modified.
func ParsePreconditions(r *http.Request) (Preconditions, error) {
	var p Preconditions
	var err error
	if p.match, err = parseTags(r.Header, "If-Match"); err != nil {
		return Preconditions{}, err
	}
	if p.noneMatch, err = parseTags(r.Header, "If-None-Match"); err != nil {
		return Preconditions{}, err
	}
	return p, nil
}

func parseTags(h http.Header, name string) (*tagList, error) {
	lines := h.Values(name)
	if len(lines) == 0 {
		return nil, nil
	}
	list := new(tagList)
	if len(lines) == 1 && strings.Trim(lines[0], " \t") == "*" {
		list.any = true
		return list, nil
	}
	for _, rest := range lines {
		for {
			rest = strings.TrimLeft(rest, " \t,") // elements may be empty: section 5.6.1.2
			if rest == "" {
				break
			}
			var tag entityTag
			if rest, tag.weak = strings.CutPrefix(rest, "W/"); !tag.take(&rest) {
				return nil, badRequest("the header " + name + ` is not valid: want * or entity tags, each in double quotes, separated by commas`)
			}
			if len(list.tags) == maxTags {
				return nil, badRequest("the header " + name + " is not valid: want at most " + strconv.Itoa(maxTags) + " entity tags")
			}
			list.tags = append(list.tags, tag)
		}
	}
	return list, nil
}

// take takes the opaque part of a tag off a list, and reports whether there is
// one, with the end of the list or a comma behind it.
func (t *entityTag) take(list *string) bool {
	s := *list
	if s == "" || s[0] != '"' {
		return false
	}
	end := 1
	for end < len(s) && (s[end] == '!' || s[end] >= '#' && s[end] != 0x7f) {
		end++
	}
	if end == len(s) || s[end] != '"' {
		return false
	}
	t.text = s[:end+1]
	*list = strings.TrimLeft(s[end+1:], " \t")
	return *list == "" || (*list)[0] == ','
}

// has reports whether the list matches a revision: by strong comparison, or by
// weak comparison, in which W/ does not count (section 8.8.3.2).
func (l *tagList) has(scope storage.Scope, revision storage.Revision, weak bool) bool {
	if l.any || revision == 0 {
		return l.any && revision != 0
	}
	want := tagOf(scope, revision)
	for _, tag := range l.tags {
		if tag.text == want && (weak || !tag.weak) {
			return true
		}
	}
	return false
}

// hopeless returns why no tag of an If-Match matches any resource, ever, or "" if
// one can.
func (l *tagList) hopeless() string {
	if l == nil || l.any {
		return ""
	}
	why := "there is none"
	for _, tag := range l.tags {
		switch {
		case !isTag(tag.text):
			why = "it is not an ETag of this service. A proxy that compresses answers may have added to it, as in -gzip"
		case tag.weak:
			why = "a weak one (W/) never does (RFC 9110, section 13.1.1). A proxy that compresses answers may have made it weak"
		default:
			return ""
		}
	}
	return why
}

// isTag reports whether the text has the form of what tagOf returns.
func isTag(text string) bool {
	digits, sum, _ := strings.Cut(strings.Trim(text, `"`), "-")
	_, err := strconv.ParseUint(digits, 36, 64)
	hash, sumErr := hex.DecodeString(sum)
	return err == nil && sumErr == nil && len(hash) == 8
}

// explain returns err, and for a precondition that can never hold an error that says
// so to the client, who would otherwise read the state and try again for ever.
func (p Preconditions) explain(err error) error {
	why := p.match.hopeless()
	if why == "" || !errors.Is(err, resource.ErrPrecondition) {
		return err
	}
	return fmt.Errorf("%w: %w", &Problem{
		Status:  http.StatusPreconditionFailed,
		Message: "precondition failed: no entity tag in If-Match can ever match: " + why,
	}, err)
}

// hold reports whether the preconditions hold for a revision, 0 for no resource.
func (p Preconditions) hold(scope storage.Scope, revision storage.Revision) bool {
	return (p.match == nil || p.match.has(scope, revision, false)) && (p.noneMatch == nil || !p.noneMatch.has(scope, revision, true))
}

// Get returns the resource as [resource.Collection.Get] does. When modified is
// false the client has it already, by its If-None-Match: see [WriteNotModified].
func (p Preconditions) Get(ctx context.Context, c *resource.Collection, tenant storage.Tenant, externalID string) (res *resource.Resource, modified bool, err error) {
	if res, err = c.Get(ctx, tenant, externalID); err != nil {
		return nil, false, err
	}
	key := storage.Key{Tenant: tenant, Schema: c.Schema().ID(), ExternalID: externalID}
	// If-Match decides first: section 13.2.2.
	if !(Preconditions{match: p.match}).hold(key.Scope(), res.Revision()) {
		return nil, false, p.explain(&resource.PreconditionError{Key: key, Current: res.Revision()})
	}
	return res, p.hold(key.Scope(), res.Revision()), nil
}

// Create is [resource.Collection.Create]. The preconditions are about the
// resource whose external id is in data, and must hold beside those in opts, which
// may be nil.
func (p Preconditions) Create(ctx context.Context, c *resource.Collection, tenant storage.Tenant, data []byte, opts *resource.CreateOptions) (*resource.Result, error) {
	var o resource.CreateOptions
	if opts != nil {
		o = *opts
	}
	o.If = p.condition(c, tenant, o.If)
	result, err := c.Create(ctx, tenant, data, &o)
	return result, p.explain(err)
}

// Patch is [resource.Collection.Patch]. The preconditions must hold beside those in
// opts, which may be nil.
func (p Preconditions) Patch(ctx context.Context, c *resource.Collection, tenant storage.Tenant, externalID string, patch []byte, opts *resource.PatchOptions) (*resource.Result, error) {
	var o resource.PatchOptions
	if opts != nil {
		o = *opts
	}
	o.If = p.condition(c, tenant, o.If)
	result, err := c.Patch(ctx, tenant, externalID, patch, &o)
	return result, p.explain(err)
}

// Delete is [resource.Collection.Delete]. The preconditions must hold beside those
// in opts, which may be nil.
func (p Preconditions) Delete(ctx context.Context, c *resource.Collection, tenant storage.Tenant, externalID string, opts *resource.DeleteOptions) (*resource.Result, error) {
	var o resource.DeleteOptions
	if opts != nil {
		o = *opts
	}
	o.If = p.condition(c, tenant, o.If)
	result, err := c.Delete(ctx, tenant, externalID, &o)
	return result, p.explain(err)
}

// condition returns what the preconditions and another condition demand of a
// revision, nil for nothing.
func (p Preconditions) condition(c *resource.Collection, tenant storage.Tenant, other func(storage.Revision) bool) func(storage.Revision) bool {
	if p.Empty() {
		return other
	}
	scope := storage.Scope{Tenant: tenant, Schema: c.Schema().ID()}
	return func(revision storage.Revision) bool {
		return p.hold(scope, revision) && (other == nil || other(revision))
	}
}
