package main

func Example() {
	main()
	// Output:
	// created changed: [/customerId /firstName /lastName /phone /createdAt /emailOptOut /smsOptOut] removed: []
	// updated changed: [/email] removed: [/phone]
	// unchanged changed: [] removed: []
	// schema: invalid document: /emial: unknown field, did you mean "email"?
	// {"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true,"email":"ada@example.com"}
}
