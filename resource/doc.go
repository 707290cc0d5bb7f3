// Package resource keeps other people's records: it puts a schema, merging by RFC 7396
// and a store together into operations that a service can call.
//
//	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
//	...
//	tenant := storage.TenantOf("my-platform", "acme")
//	res, err := customers.Create(ctx, tenant, []byte(`{"customerId":"c-1","phone":null}`), nil)
//	fmt.Println(res.Outcome, res.Changed(), res.Removed()) // updated [] [/phone]
//
// A [Collection] has the resources of one schema in one store. A resource is identified by
// its tenant, its schema and its external id, which is the value of the schema's
// external-id field (customerId for customers) and never changes. Its ID is a UUID that
// the collection makes. Tenants never meet: the tenant is a parameter of every call and a
// part of every key, and a resource of another tenant answers exactly as one that does not
// exist.
//
// # Writing
//
// [Collection.Create] creates a resource or, if one with its external id exists, merges
// the data into it. [Collection.Patch] merges and never creates. [Collection.Delete]
// deletes. [WriteOptions] are the policies of one call. The [Result] is the resource after
// the write, and what the write did.
//
// A write is read, merge, compare-and-swap, and again from the start after a conflict (see
// [storage.Update]). So a race never loses a field: concurrent writes to different fields
// of one resource all stay, and exactly one of concurrent first writes has the outcome
// [Created]. Writers of one resource in one collection wait for each other, in the order
// of their arrival and as long as their contexts last. The compare-and-swap makes writes
// of other collections and processes safe.
//
// A write that changes nothing writes nothing: the revision and the time of the last
// update stay, and the outcome is [Unchanged]. A default that a stored document lacks,
// because it was written before the field had one, is filled in when it is read, and
// stored by the next write that changes something.
//
// A [Condition] makes a write conditional on the revision that the caller has seen
// ([AtRevision]), or on there being no resource ([Absent]). If it does not hold, the error
// matches [ErrPrecondition]. A revision never comes back, so content that was changed and
// changed back does not pass. A dry run returns the result of a write, or its error, and
// stores nothing.
//
// An external id has 1 to 512 bytes without NUL, and is neither trimmed nor folded. To
// create a resource it needs at least one character outside the Unicode categories Z and
// C. A resource that is stored under any other id can still be read, changed and deleted.
//
// # Reading
//
// [Collection.Get] returns a [Resource]: its document ([Resource.Data]), one value of it
// ([Resource.Get]), or all of it in the shape of the wire contract
// ([Resource.AppendJSON]).
//
// A resource's own times are UTC, truncated to the millisecond. They are not fields of its
// document: customers have a createdAt of their own, which belongs to the client, and
// neither affects the other. UpdatedAt never goes back, even when the clock does.
//
// # Lists
//
// [Collection.List] returns a [Page] of a tenant's resources, and [Collection.All] iterates
// over all pages. [ListOptions] have a filter, and an order by an indexed field; the usual
// order is that of the external ids. An index that is new to a schema needs a
// [Collection.Reindex] for each tenant that has resources.
//
// # Changes and history
//
// With Options.Log each change is logged in the same atomic write, with the Actor and the
// Reason of the call. [Collection.Changes] returns the changes of a tenant in order, and
// leaves none out; package changes passes them on to consumers that go on where they were.
// With Options.History the log has the documents before and after, too. Then
// [Collection.History] shows what became of one resource, [Collection.Restore] gives it an
// earlier document again, and a [Change] has a Document and a Patch, without personal data
// unless that is asked for.
//
// A cursor of changes is encrypted and bound to its tenant and schema. Neither it nor the
// pages tell a tenant anything of the changes of others.
//
// # Erasure
//
// [Collection.Erase] deletes a resource and removes from the log what it has of the
// resource: documents, actors, reasons and the external id. Readers of the log get the
// outcome [Erased] with the ID of the resource, and remove what they keep under it: so a
// program that keeps something of a resource must keep its ID beside it. docs/changes.md
// says what Erase cannot reach.
//
// # Batches
//
// CreateBatch, PatchBatch, DeleteBatch and GetBatch do the same for many resources in few
// round trips. They are not transactions: each item has a result or an error of its own.
// Package ingest imports whole files.
//
// # Errors
//
// A mistake of the client is a [*schema.SyntaxError], a [*schema.ValidationError] with all
// violations of the data or the filter at once, [ErrExists], [ErrPrecondition] or
// [ErrCursor]. An error of the store keeps its sentinel: [storage.ErrUnavailable],
// [storage.ErrUnknownOutcome] and so on. All but the two types of schema are in an
// [*OpError]. No error's text holds a value of a document or an external id.
//
// # Observing
//
// Options.OnCall gets each [Call] when it ends, for metrics and traces; [ErrorClass] sorts
// errors for their labels.
//
// Package fmt and package log/slog print no personal data of these types. One exception is
// a JSON handler that gets a value with a [Resource] or a [Change] inside, such as a slice:
// it writes all of it, since that is its JSON.
package resource
