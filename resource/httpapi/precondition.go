package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage"
)

// ETag returns the strong entity tag of a resource, with its quotes (RFC 9110, section
// 8.8.3). It is made of the revision and not of the content: content that was changed
// and changed back has another tag. Stores make revisions at random, so two resources
// do not share one. It is "" for a resource that is not stored, such as the result of a
// dry run that would create it. The result of any other dry run has the tag of what is
// stored: do not send it.
func ETag(res *resource.Resource) string {
	if res.Revision() == 0 {
		return ""
	}
	return tagOf(res.Revision())
}

// tagOf returns the tag of a revision: the number in base 36.
func tagOf(revision storage.Revision) string {
	var buf [15]byte // 13 digits are enough
	return string(append(strconv.AppendUint(append(buf[:0], '"'), uint64(revision), 36), '"'))
}

// ParseETag returns the revision in an entity tag of [ETag], for a [resource.Condition].
// ok is false for any other text and for weak tags, which match no resource.
func ParseETag(tag string) (revision storage.Revision, ok bool) {
	n, err := strconv.ParseUint(strings.Trim(tag, `"`), 36, 64)
	if revision = storage.Revision(n); err != nil || n == 0 || tagOf(revision) != tag {
		return 0, false
	}
	return revision, true
}

// ParsePreconditions returns what the header fields If-Match and If-None-Match demand
// (RFC 9110, section 13), for the options of a write: together with conditions of your
// own by [resource.Condition.And]. Lines of the same name are one list. A tag that [ETag]
// has not made matches nothing. If-Modified-Since, If-Unmodified-Since and If-Range are
// ignored, since no answer has a Last-Modified.
//
// The error is a [*Problem]. It has status 400 if one of the fields is neither "*" nor a
// list of at most 100 entity tags, and status 412 if no tag of If-Match can ever match:
// each is weak or not made by ETag. Some proxies change the tags of answers that they
// compress. A client that only hears that the state has changed would try again for ever.
func ParsePreconditions(r *http.Request) (resource.Condition, error) {
	match, noneMatch, err := parsePreconditions(r)
	return match.And(noneMatch), err
}

// parsePreconditions returns what each of the two fields demands.
func parsePreconditions(r *http.Request) (match, noneMatch resource.Condition, err error) {
	tags, err := parseTags(r.Header, "If-Match")
	if err != nil {
		return match, noneMatch, err
	}
	if tags != nil {
		if match, err = tags.match(); err != nil {
			return match, noneMatch, err
		}
	}
	tags, err = parseTags(r.Header, "If-None-Match")
	if err != nil {
		return match, noneMatch, err
	}
	if tags != nil {
		noneMatch = tags.noneMatch()
	}
	return match, noneMatch, nil
}

// Modified judges If-Match and If-None-Match for a GET of res (RFC 9110, section 13.2.2),
// in handlers that answer in a shape of their own. It is false if the client has this
// revision already: answer with [WriteNotModified]. The error is that of
// [ParsePreconditions], or [resource.ErrPrecondition] if If-Match does not hold.
func Modified(r *http.Request, res *resource.Resource) (bool, error) {
	match, noneMatch, err := parsePreconditions(r)
	switch {
	case err != nil:
		return false, err
	case !match.Holds(res.Revision()):
		return false, resource.ErrPrecondition
	}
	return noneMatch.Holds(res.Revision()), nil
}

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

// match returns what the list demands as an If-Match: by strong comparison (section
// 8.8.3.2).
func (l *tagList) match() (resource.Condition, error) {
	if l.any {
		return resource.NotAtRevision(0), nil
	}
	var revisions []storage.Revision
	why := "there is none"
	for _, tag := range l.tags {
		switch revision, ok := ParseETag(tag.text); {
		case !ok:
			why = "it is not an ETag of this service. A proxy that compresses answers may have added to it, as in -gzip"
		case tag.weak:
			why = "a weak one (W/) never does (RFC 9110, section 13.1.1). A proxy that compresses answers may have made it weak"
		default:
			revisions = append(revisions, revision)
		}
	}
	if revisions == nil {
		return resource.Condition{}, &Problem{
			Status:  http.StatusPreconditionFailed,
			Message: "precondition failed: no entity tag in If-Match can ever match: " + why,
		}
	}
	return resource.AtRevision(revisions...), nil
}

// noneMatch returns what the list demands as an If-None-Match: by weak comparison, in
// which W/ does not count.
func (l *tagList) noneMatch() resource.Condition {
	if l.any {
		return resource.Absent()
	}
	var revisions []storage.Revision
	for _, tag := range l.tags {
		if revision, ok := ParseETag(tag.text); ok {
			revisions = append(revisions, revision)
		}
	}
	return resource.NotAtRevision(revisions...)
}

// maxTags is how many entity tags one field may have.
const maxTags = 100

// parseTags returns the value of a field, nil if there is none. name is canonical.
func parseTags(h http.Header, name string) (*tagList, error) {
	lines := h[name]
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
				return nil, badRequest("the header " + name + ` is not valid: expected * or entity tags, each in double quotes, separated by commas`)
			}
			if len(list.tags) == maxTags {
				return nil, badRequest("the header " + name + " is not valid: expected at most " + strconv.Itoa(maxTags) + " entity tags")
			}
			list.tags = append(list.tags, tag)
		}
	}
	return list, nil
}

// take takes the opaque part of a tag off a list, and reports whether there is
// one, before the end of the list or a comma.
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
