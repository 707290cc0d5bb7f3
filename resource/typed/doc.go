// Package typed lets a program work with Go structs instead of JSON: it makes
// documents and merge patches of them, and reads resources into them.
//
//	c := typed.Customer{CustomerID: "c-1", Email: typed.Set("ada@example.com"), Phone: typed.Null[string]()}
//	patch, err := typed.Encode(c)               // {"customerId":"c-1","email":"ada@example.com","phone":null}
//	res, err := customers.Create(ctx, tenant, patch, nil)
//	ada, err := typed.Decode[typed.Customer](res)
//
// An [Opt] is a field that is not set, is null, or has a value, so that a merge patch
// (RFC 7396) says what was meant: a field that is not set is left out and stays as it
// is stored, and [Null] deletes it.
//
// [Customer], [Location] and [Transaction] are the documents of the schemas built into
// package schema. A schema of your own gets a struct of your own.
package typed
