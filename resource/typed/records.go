package typed

import (
	"encoding/json"
	"errors"
	"time"
)

// A Customer is a document of schema.Customers. As a merge patch it holds what
// is set and nothing else.
type Customer struct {
	CustomerID        string         `json:"customerId,omitzero"`
	Email             Opt[string]    `json:"email,omitzero"`
	Phone             Opt[string]    `json:"phone,omitzero"`
	FirstName         Opt[string]    `json:"firstName,omitzero"`
	LastName          Opt[string]    `json:"lastName,omitzero"`
	EmailOptOut       Opt[bool]      `json:"emailOptOut,omitzero"`
	SMSOptOut         Opt[bool]      `json:"smsOptOut,omitzero"`
	CustomerDetailURL Opt[string]    `json:"customerDetailUrl,omitzero"`
	CreatedAt         Opt[Timestamp] `json:"createdAt,omitzero"`
}

// A Location is a document of schema.Locations. As a merge patch it holds what
// is set and nothing else.
type Location struct {
	LocationID string      `json:"locationId,omitzero"`
	Name       Opt[string] `json:"name,omitzero"`
	Address    Opt[string] `json:"address,omitzero"`
	City       Opt[string] `json:"city,omitzero"`
	State      Opt[string] `json:"state,omitzero"`
	ZipCode    Opt[string] `json:"zipCode,omitzero"`
	Address2   Opt[string] `json:"address2,omitzero"`
	Address3   Opt[string] `json:"address3,omitzero"`
}

// A Transaction is a document of schema.Transactions. As a merge patch it holds
// what is set and nothing else.
type Transaction struct {
	TransactionID        string           `json:"transactionId,omitzero"`
	CustomerID           Opt[string]      `json:"customerId,omitzero"`
	LocationID           Opt[string]      `json:"locationId,omitzero"`
	TransactionDate      Opt[Timestamp]   `json:"transactionDate,omitzero"`
	TransactionTotal     Opt[json.Number] `json:"transactionTotal,omitzero"` // its text is kept: 12.50 stays 12.50
	TransactionDetailURL Opt[string]      `json:"transactionDetailUrl,omitzero"`
}

var errTimestamp = errors.New("typed: not a date-time that package time can read")

// A Timestamp is a date-time of RFC 3339 as text, so that what was stored comes
// back as it was: fraction, offset and all. TimestampOf and Time convert.
type Timestamp string

// TimestampOf returns the time with nanoseconds as far as there are any, and its
// offset; in UTC where the offset has seconds, as of zones long ago, for which RFC
// 3339 has no room.
func TimestampOf(t time.Time) Timestamp {
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return Timestamp(t.Format(time.RFC3339Nano))
}

// Time returns the instant. The error is for text that package time cannot read,
// which includes the second 60 and lower-case letters that RFC 3339 allows; it
// does not hold the text.
func (ts Timestamp) Time() (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, string(ts))
	if err != nil {
		return time.Time{}, errTimestamp
	}
	return t, nil
}
