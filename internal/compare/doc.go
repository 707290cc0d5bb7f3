// Command compare measures this module against the libraries that one would
// use instead, and prints the result as a table of ratios:
//
//	go run ./internal/compare
//
// from the root of the repository. It is a module of its own, so that the
// libraries it compares with stay out of the dependencies of those who import
// the core. The same cases are benchmarks: go test -bench . in this directory.
//
// # Why ratios
//
// Nanoseconds belong to one machine at one moment. What is measured here is
// judged by V, the time that gjson.ValidBytes takes for the same inputs: patch
// and target, or the document. V is a plain loop over the bytes that allocates
// nothing, so it wobbles little and moves with the machine. It still depends on
// the processor: one that is good at short branches makes V small, and all
// ratios to it large. It moves by 15 % with the place that the linker gives to its
// loop, so encoding/json.Valid is printed beside it, as W: a change of all ratios to
// one of the two alone is a change of that one.
//
// Contenders take turns in rounds of short batches, each round all of them; a
// ratio is the median of the rounds' ratios. So whatever else the machine does
// meets all of them alike. Inputs rotate over 512 different documents, as one
// document again and again would teach the branch predictor its bytes; the 1 MB
// documents are four, because one of them is already longer than any
// predictor's memory. Documents and patches come from a seeded generator, the
// same in every run.
//
// A budget is what the median of six runs is to stay in. One that is missed is
// printed and is not a failure: the exit status is 0.
// Nothing here is a timed test.
//
// # Who takes part, and what they leave out
//
//   - gjson.ValidBytes checks the grammar and nothing else: no UTF-8, no
//     surrogates, no duplicate names, no depth. It keeps nothing of what it
//     read. Everything of this module that is compared with it does check those,
//     and does its work besides.
//   - evanphx/json-patch merges, with the differences that TestDifferences
//     lists. It checks none of the above except a depth of 10,000.
//   - encoding/json decodes both inputs into maps, which a recursive function
//     merges, and encodes the result: numbers become float64, members come out
//     sorted, duplicates and invalid UTF-8 are accepted.
//   - The sjson loop sets or deletes one member of the patch after the other.
//     It checks nothing, and is right only for names that mean nothing in
//     sjson's path language. It is quadratic, so the 1 MB row times one call.
//   - santhosh-tekuri/jsonschema validates what encoding/json has decoded,
//     which is part of its time, by an equivalent JSON Schema with assertion of
//     formats. Duplicate names are gone by then.
//   - For the shape of a resource encoding/json marshals a struct with the same
//     members, once with the stored data as a json.RawMessage and once decoded
//     into a struct of its own. It checks and compacts a raw message; ours was
//     checked when it was stored.
//
// The rows after the first are of documents that suit the fast reader of
// internal/strictjson less: other scripts, values that are objects and arrays, another
// order of members in each, and blanks, with which it does not read them at all.
//
// The rows of Collection.Create have no competitor. Their V is of the request and
// the stored document.
//
// # Oracles
//
// The tests compare verdicts, not time. TestSuite judges what JSON-Schema-Test-Suite
// judges, by the copy in the module of google/jsonschema-go, and prints for each file how
// many cases passed and at which keywords schemas were refused (go test -v -run Suite).
// FuzzSchemas compares with santhosh-tekuri/jsonschema on schemas and documents made by
// chance.
//
// # Growth
//
// Below the table, inputs double: in the number of members, in the number of
// deletions, in depth. Linear work keeps its nanoseconds for each byte, up to
// the steps where the work no longer fits a cache; quadratic work doubles them.
// evanphx/json-patch stands beside it as long as one call takes less than a few
// tenths of a second.
//
// Flags: -rounds is how often each contender is timed, -short makes it quick
// and rough, -large adds a store of 1,000,000 resources, which takes a minute or
// two and 2 GB of memory.
package main
