package storage

// Recaller is a Store that remembers records; package recent makes one of any store.
// [Update] and [UpdateMany] begin with a record that it recalls, in place of a read. If
// that is still the stored record, a round trip is saved; otherwise the swap is a
// conflict, and they begin again with the stored one. A recalled record counts only if a
// swap succeeds.
//
// A wrapper around a Recaller that does not implement Recall hides it.
type Recaller interface {
	Store

	// Recall returns the record of the key and true, or false if it remembers none. The
	// record is exactly as Get would have returned it at some time, with a revision that
	// is not 0; it may have been changed or deleted since. Recall makes no round trip.
	// The record's Data is read-only.
	Recall(key Key) (Record, bool)
}

// recall returns the record that the store recalls for the key, if it recalls one.
func recall(store Store, key Key) (Record, bool) {
	if r, ok := store.(Recaller); ok {
		return r.Recall(key)
	}
	return Record{}, false
}
