package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage/memory"
)

func Example() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(routes(customers))
	defer server.Close()

	post := func(query, body string) {
		res, err := http.Post(server.URL+"/v2/acme/customers"+query, "application/json", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			panic(err)
		}
		// The ids and times of each run are its own.
		answer = regexp.MustCompile(`"customer":\{.*"data":`).ReplaceAll(answer, []byte(`"customer":{...,"data":`))
		fmt.Printf("%d %s", res.StatusCode, answer)
	}
	ada := `{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}`
	post("", ada)
	post("?onconflict=reject", ada)
	post("", `{"data":{"customerId":"c-1","firstName":null,"emial":"a@example.com"}}`)
	post("", `{"customerId":"c-1"}`)
	// Output:
	// 201 {"status":"created","customer":{...,"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true}},"changed":["/customerId","/firstName","/lastName","/createdAt","/emailOptOut","/smsOptOut"]}
	// 409 {"status":"failed","error":"a resource with this customerId exists already"}
	// 400 {"status":"failed","error":"the data is not valid","fields":{"/emial":"unknown field, did you mean \"email\"?","/firstName":"required, cannot be null"}}
	// 400 {"status":"failed","error":"the request body is not valid: found no member \"data\", want a JSON object with the member \"data\""}
}
