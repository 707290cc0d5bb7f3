package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// A receiver is an endpoint for webhooks, as its owner may write it. It prints a line for
// each.
type receiver struct {
	keys secrets
	out  io.Writer
	max  int64 // bytes of a payload

	mu   sync.Mutex
	seen map[string]bool // the ids; a service keeps them in its database
}

// maxSeen bounds the memory. A repeat comes soon, so it does no harm to forget the rest.
const maxSeen = 10_000

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rc.max))
	if err != nil {
		http.Error(w, "cannot read the body", http.StatusBadRequest)
		return
	}
	// First of all, on the bytes as they came: nothing else of the request can be trusted.
	if err := rc.keys.verify(payload, r.Header); err != nil {
		http.Error(w, "the signature is not right", http.StatusUnauthorized)
		return
	}
	var event struct{ Type string }
	if err := json.Unmarshal(payload, &event); err != nil {
		http.Error(w, "the body is not an event", http.StatusBadRequest)
		return
	}
	id := r.Header.Get(standardwebhooks.HeaderWebhookID)
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if !rc.seen[id] {
		// Here a service does its work, and remembers the id in the same transaction.
		fmt.Fprintf(rc.out, "webhook %s: %s, signature verified\n", id, event.Type)
		if len(rc.seen) >= maxSeen || rc.seen == nil {
			rc.seen = map[string]bool{}
		}
		rc.seen[id] = true
	}
	w.WriteHeader(http.StatusNoContent)
}
