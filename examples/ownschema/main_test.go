package main

func Example() {
	main()
	// Output:
	// created {"orderId":"o-1","total":99.90,"shipTo":{"city":"London","zip":"N1"},"lines":[{"sku":"a","count":2}],"state":"open"}
	// updated {"orderId":"o-1","total":99.90,"shipTo":{"city":"London"},"lines":[{"sku":"a","count":2}],"state":"paid"}
	// schema: invalid document: /state: expected one of "open", "paid"; /total: expected number, found string; /lines/0/count: expected integer, found number with a fraction; /lines/0/sku: required, but missing
}
