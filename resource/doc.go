// Package resource keeps other people's records: it puts a schema, RFC 7396
// merging and a store together into one operation that a service can call.
//
// A [Collection] is the resources of one schema in one store. [Collection.Create]
// creates a resource or, when there is one with its external id already, merges
// the new data into it; [Collection.Patch] only merges; [Collection.Delete]
// deletes; [Collection.Get], [Collection.List] and [Collection.All] read.
// Everything that decides about a call is in it: the tenant, the data and the
// options.
//
//	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
//	...
//	res, err := customers.Create(ctx, tenant, data, nil)
//
// # Identity
//
// A resource is known by its tenant, its schema and its external id, which is the value
// of the schema's external-id field (customerId for customers) and never changes. Its ID
// is a UUID that the collection makes. Tenants never meet: the tenant is a parameter of
// every call and a part of every key, and a resource of another tenant answers exactly
// as one that does not exist.
//
// An external id has 1 to 512 bytes without NUL, and is neither trimmed nor folded. To
// create a resource it needs at least one character outside the Unicode categories Z
// and C: blanks and zero-width characters name nobody. What is stored under such an id
// can still be read, changed and deleted.
//
// # Writing
//
// A write is read, merge, compare-and-swap, and again from the start when
// somebody else was faster (see [storage.Update]). So no field is ever lost to a
// race: any number of concurrent writes to different fields of one resource all
// stay, and of any number of concurrent first writes exactly one has the outcome
// [Created]. Within one collection writers of the same resource wait for each
// other instead of colliding, in the order of their arrival and as long as
// their contexts last; the compare-and-swap stays the net below for other
// processes.
//
// A write that changes nothing writes nothing: the revision and the time of the
// last update stay, and the outcome is [Unchanged]. A default that a stored
// document lacks, because it was written before the field had one, is filled in
// when it is read and with the next write that changes something.
//
// # Preconditions and dry runs
//
// A [Condition] makes a write conditional on the revision that the caller has seen
// ([AtRevision]), or on there being no resource ([Absent]). If it does not hold, the
// error is a [*PreconditionError] with the revision that the resource has. A revision
// never comes back, so content that was changed and changed back does not pass.
//
// DryRun gives the result of a write, or its error, and stores nothing. A
// [Rehearsal] is a dry run of several batches, each of which sees what those before
// it would have made.
//
// # Times
//
// A resource's own times are UTC, truncated to the millisecond. They are not
// fields of its document: customers have a createdAt of their own, which belongs
// to the caller, and neither touches the other. UpdatedAt never goes back, even
// when the clock does.
//
// # Errors
//
// What the caller did wrong is a [*schema.SyntaxError], a
// [*schema.ValidationError] with all violations at once, [ErrExists],
// [ErrPrecondition], [ErrCursor] or a [*schema.FilterError]. What
// the store reports comes through with its sentinels: [storage.ErrUnavailable],
// [storage.ErrUnknownOutcome] and so on. No error's text holds a value of a
// document or an external id.
package resource
