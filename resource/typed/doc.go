// Package typed lets a program work with Go structs instead of JSON: it makes documents
// and merge patches of structs, and reads resources into them.
//
//	c := typed.Customer{CustomerID: "c-1", Email: typed.Set("ada@example.com"), Phone: typed.Null[string]()}
//	patch, err := typed.Encode(c) // {"customerId":"c-1","email":"ada@example.com","phone":null}
//	res, err := customers.Create(ctx, tenant, patch, nil)
//	ada, err := typed.Decode[typed.Customer](res)
//
// [Encode] and [Decode] are the functions. An [Opt] is a field that is not set, is null,
// or has a value: in a merge patch (RFC 7396) a field that is not set is absent and
// stays as it is stored, and [Null] deletes it.
//
// [Customer], [Location] and [Transaction] are the documents of the schemas built into
// package schema. A schema of your own gets a struct of your own, with json tags and
// Opt fields.
//
// # Guarantees
//
// Encode refuses strings that are not valid UTF-8, which encoding/json would change, so
// that two ids never become one. Decode reads each number that an Integer field accepts,
// such as 1.0 and 1e2, into a Go integer, and its errors name the field by its JSON
// Pointer and hold no value.
package typed
