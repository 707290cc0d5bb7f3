package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// deadLetters are the webhooks that the endpoint did not take. A dead letter belongs to the
// tenant of its resource. It has no personal data, so that an Erase need not find it; the
// event itself stays in the log.
var deadLetters = schema.MustCompile(schema.Definition{
	ID:          uuid.MustParse("0b0f6c1e-8f4a-4c55-9d0c-5a7f3a5f2b61"),
	Name:        "dead_letters",
	Description: "Webhooks that the endpoint did not take",
	ExternalID:  "eventId",
	Fields: []schema.Field{
		{Name: "eventId", Type: schema.String, Required: true, Description: "The webhook-id"},
		{Name: "resourceId", Type: schema.String, Required: true, Description: "The ID of the resource"},
		{Name: "revision", Type: schema.String, Required: true, Description: "The revision that names the change"},
		{Name: "time", Type: schema.String, Format: "date-time", Required: true, Description: "When the change was made"},
		{Name: "attempts", Type: schema.Integer, Required: true, Description: "Calls of the consumer, each with its retries"},
		{Name: "lastStatus", Type: schema.Integer, Required: true, Description: "HTTP status of the last answer, 0 if there was none"},
	},
})

type deadLetter struct {
	EventID    string           `json:"eventId"`
	ResourceID uuid.UUID        `json:"resourceId"`
	Revision   storage.Revision `json:"revision,string"`
	Time       time.Time        `json:"time"`
	Attempts   int              `json:"attempts"`
	LastStatus int              `json:"lastStatus"`
}

// bury makes a dead letter of an event, so that the events after it can go on. Twice makes
// one.
func (s *service) bury(ctx context.Context, tenant storage.Tenant, letter deadLetter) error {
	data, err := json.Marshal(letter)
	if err != nil {
		return err
	}
	_, err = s.letters.Create(ctx, tenant, data, nil)
	return err
}

// resendTimeout bounds a request to send again, whatever the endpoint asks for.
const resendTimeout = 20 * time.Second

// resend sends a dead letter again, which is gone if the endpoint takes it. The event may
// be older than others that the endpoint has had of the resource.
func (s *service) resend(w http.ResponseWriter, r *http.Request) error {
	tenant, err := s.hooks.Tenant(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), resendTimeout)
	defer cancel()
	found, err := s.letters.Get(ctx, tenant, r.PathValue("eventId"))
	if err != nil {
		return err
	}
	var letter deadLetter
	if err := json.Unmarshal(found.Data(), &letter); err != nil {
		return err
	}
	change, err := s.find(ctx, tenant, letter.ResourceID, letter.Revision)
	if err != nil {
		return err
	}
	id, payload, err := s.webhook(change, 0)
	if err != nil {
		return err
	}
	if err := s.sender.send(ctx, id, payload); err != nil {
		return &httpapi.Problem{Status: http.StatusBadGateway, Message: "not delivered: " + err.Error()}
	}
	if _, err := s.letters.Delete(ctx, tenant, letter.EventID, nil); err != nil {
		return fmt.Errorf("delivered, but not removed: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// find reads the log of the tenant for a change, page by page without documents, and then
// the one change with its document. A dead letter has no external id by which it could be
// found at once: a log of a million changes takes some seconds.
func (s *service) find(
	ctx context.Context, tenant storage.Tenant, id uuid.UUID, revision storage.Revision,
) (*resource.Change, error) {
	opts := resource.ChangeOptions{Limit: storage.MaxPage}
	for more := true; more; {
		page, err := s.customers.Changes(ctx, tenant, &opts)
		if err != nil {
			return nil, err
		}
		for _, c := range page.Changes {
			if c.ID == id && c.Revision == revision {
				opts = resource.ChangeOptions{Cursor: opts.Cursor, Limit: 1, Documents: true, Patches: true, Unredacted: s.unredacted}
				page, err = s.customers.Changes(ctx, tenant, &opts)
				if err != nil {
					return nil, err
				}
				if len(page.Changes) == 0 || page.Changes[0].ID != id || page.Changes[0].Revision != revision {
					return nil, errGone // it was the first one, and was trimmed meanwhile
				}
				return &page.Changes[0], nil
			}
			opts.Cursor = c.Cursor
		}
		opts.Cursor, more = page.Next, page.More
	}
	return nil, errGone
}

var errGone = &httpapi.Problem{Status: http.StatusGone, Message: "the log no longer has the change"}
