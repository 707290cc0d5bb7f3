package storage

// Recaller is a Store that can say from memory what a record was. Package recent puts
// one in front of any other store. [Update] and [UpdateMany] begin with what it
// recalls, in place of a read. If that is still the stored record, a round trip is
// saved; otherwise the swap is a conflict, and they begin again with the stored one.
// What was recalled counts only if a swap succeeds.
//
// A wrapper around a Recaller that does not implement this hides it.
type Recaller interface {
	Store

	// Recall returns the record of the key exactly as Get would have returned it at
	// some time (the revision, which is never 0, belongs to everything else in it),
	// and true; or false if it has none, which is always allowed. It asks no database:
	// the record may have been changed or deleted since. Its Data is read-only.
	Recall(key Key) (Record, bool)
}

// recall returns what the store recalls of the key, if it recalls anything.
func recall(store Store, key Key) (Record, bool) {
	if r, ok := store.(Recaller); ok {
		return r.Recall(key)
	}
	return Record{}, false
}
