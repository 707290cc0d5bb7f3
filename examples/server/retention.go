package main

import (
	"context"
	"time"

	"example.com/resourcekit/resource/changes"
)

// trimEvery is how often old changes are removed.
const trimEvery = time.Hour

// trim removes changes from the log that are older than the retention, at the start and
// then once an hour. A client that comes again after that much time is told to read all
// resources anew.
func (s *service) trim(ctx context.Context, retention time.Duration) {
	for {
		kept, err := changes.Trim(ctx, s.store, time.Now().Add(-retention))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("cannot remove old changes; the next try is in an hour", "err", err)
		case len(kept) > 0:
			s.log.Warn("old changes are kept, since consumers have not had them", "consumers", kept)
		}
		select {
		case <-time.After(trimEvery):
		case <-ctx.Done():
			return
		}
	}
}
