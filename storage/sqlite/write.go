package sqlite

import (
	"context"
	"fmt"

	"example.com/resourcekit/storage"
)

// Write implements storage.Store. The writes share one transaction, or several if they
// have more than 16 MiB of data. If the context ends when the writes are in a
// transaction, Write waits up to 100 ms longer for the outcome, and then returns an error
// that matches the context's and ErrUnknownOutcome.
func (s *Store) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	errs, err := s.write(ctx, writes)
	if err != nil {
		op := &storage.OpError{Op: "write", Err: err}
		if len(writes) == 1 {
			op.Key = writes[0].Record.Key
		}
		return nil, op
	}
	return errs, nil
}

func (s *Store) write(ctx context.Context, writes []storage.Write) (errs []error, err error) {
	if err := storage.CheckWrites(ctx, writes); err != nil {
		return nil, err
	}
	swaps := make([]swap, len(writes)) // a copy, for the writer may outlast the call
	for i, w := range writes {
		swaps[i] = swap{write: w, entries: pack(w.Entries)}
		swaps[i].write.Entries = nil
		if w.Note != nil {
			note := *w.Note
			swaps[i].write.Note = &note
		}
	}
	for first := 0; first < len(swaps); {
		end, size := first+1, swaps[first].size()
		for end < len(swaps) && size+swaps[end].size() <= maxGroupBytes {
			size += swaps[end].size()
			end++
		}
		err := ctx.Err()
		if err == nil {
			err = s.writer.do(ctx, &request{swaps: swaps[first:end]})
		}
		if err != nil && first == 0 {
			return nil, err
		}
		for i := first; i < end; i++ {
			failed := err
			if err == nil { // otherwise the swap may still be the writer's
				failed = swaps[i].err
			}
			if failed == nil {
				continue
			}
			if errs == nil {
				errs = make([]error, len(writes))
			}
			errs[i] = &storage.OpError{Op: "write", Key: writes[i].Record.Key, Err: failed}
		}
		first = end
	}
	return errs, nil
}

// checkSize returns ErrTooLarge if a write has more than the store takes.
func (s *swap) checkSize() error {
	if size := len(s.write.Record.Data); size > MaxData {
		return fmt.Errorf("%w: %d bytes, and at most %d are possible", storage.ErrTooLarge, size, MaxData)
	}
	return checkNote(s.write.Note)
}

// maxNote is the largest storage.Note.Size. SQLite ends at a row of 10^9 bytes, after it
// has copied most of it a few times.
const maxNote = 256 << 20

func checkNote(note *storage.Note) error {
	if size := note.Size(); size > maxNote {
		return fmt.Errorf("%w: a note of %d bytes, and at most %d are possible", storage.ErrTooLarge, size, maxNote)
	}
	return nil
}

// SetEntries implements storage.Store. It also restores entries that SQL removed.
func (s *Store) SetEntries(
	ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry,
) error {
	w := storage.Write{Record: storage.Record{Key: key, Revision: expect + 1}, Expect: expect, Entries: entries}
	err := storage.CheckWrites(ctx, []storage.Write{w})
	if err == nil {
		swaps := []swap{{write: w, entries: pack(entries), entriesOnly: true}}
		if err = s.writer.do(ctx, &request{swaps: swaps}); err == nil {
			err = swaps[0].err
		}
	}
	if err != nil {
		return &storage.OpError{Op: "set entries", Key: key, Err: err}
	}
	return nil
}
