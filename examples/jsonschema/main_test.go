package main

func Example() {
	main()
	// Output:
	// created {"orderId":"o-1","total":99.90,"shipTo":{"city":"London"},"labels":{"season":"spring"},"state":"open"}
	// updated {"orderId":"o-1","total":99.90,"shipTo":{"city":"London"},"labels":{"gift":"yes"},"state":"paid"}
	// schema: invalid document: /total: expected a multiple of 0.01; /lines/0/count: expected at least 1; expected exactly one of "shipTo", "pickUpAt"; /lines/0/sku: required, but missing
}
