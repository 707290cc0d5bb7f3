// Package changes passes the changes of resources on, and misses none: to consumers with a
// name, which go on where they were, and to the readers of a [Tail].
//
//	err := changes.Consume(ctx, store, "search", func(ctx context.Context, e changes.Event) error {
//		if e.Outcome == resource.Deleted || e.Outcome == resource.Erased {
//			return search.Remove(ctx, e.ID)
//		}
//		...
//	}, &changes.Options{Collections: []*resource.Collection{customers}})
package changes
