package storage

// Recaller is a Store that remembers records, as package recent makes one of
// every other. [Update] and the writes of package resource begin with what it
// recalls, in place of a read. If the record is still the one that is stored, which
// the swap shows, a round trip is saved; else they read it and begin again.
// Nothing but a swap ever follows from a record that was recalled.
type Recaller interface {
	Store

	// Recall returns a record of the key as it was stored at some time, and
	// whether there is one. It asks nobody: the record may have been changed or
	// deleted since. Its Data is read-only.
	Recall(key Key) (Record, bool)
}

// Recall returns what the store recalls of the key, which is nothing if the store
// is no Recaller.
func Recall(store Store, key Key) (Record, bool) {
	if r, ok := store.(Recaller); ok {
		return r.Recall(key)
	}
	return Record{}, false
}
