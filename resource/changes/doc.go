// Package changes delivers the changes of resources from the log of a store, and misses
// none. It is for collections with resource.Options.Log.
//
// [Consume] is for work that must be done for every change: a search index, a copy in
// another database, webhooks. A consumer has a name. Its position is in the store, so it
// goes on where it was, in whichever process.
//
//	err := changes.Consume(ctx, store, "search", func(ctx context.Context, e changes.Event) error {
//		if e.Outcome == resource.Deleted || e.Outcome == resource.Erased {
//			return index.Remove(ctx, e.ID)
//		}
//		return index.Put(ctx, e.ID, e.Document)
//	}, &changes.Options{
//		Collections: []*resource.Collection{customers}, // made with Log and History
//		Documents:   true,                              // which needs History
//		Unredacted:  true,                              // with personal data; otherwise "[redacted]"
//	})
//
// A new consumer gets the changes that the log has, and no resource that is older than it.
// What is only in the memory of a process needs a Tail and no consumer. docs/changes.md has
// the steps for both.
//
// A [Tail] is for readers that come and go, such as event streams: they keep their cursors
// themselves, and any number of them costs one query at a time.
//
// What is promised, what is not, and how to run consumers is in docs/changes.md.
package changes
