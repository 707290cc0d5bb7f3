package main

func Example() {
	main()
	// Output:
	// created [/customerId /firstName /lastName /phone /createdAt /emailOptOut /smsOptOut] []
	// updated [/email] [/phone]
	// schema: invalid document: /emial: unknown field, did you mean "email"?
}
