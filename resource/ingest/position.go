package ingest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrPosition is returned for a position that is not one of the input: the documents
// before it are others, or there are fewer of them.
var ErrPosition = errors.New("not a position of this input")

// hashSize is how many bytes of a SHA-256 a Position has.
const hashSize = 16

// A Position is how far an import has come in its input. The zero Position is the
// start.
//
// Its text is the number of documents, and after a colon the hash if there is one:
// "1200:9f86d081884c7d659a2feaa0c55ad015". Package encoding/json and flag.TextVar
// read and write that.
type Position struct {
	// Documents is how many documents are done.
	Documents int64
	// Hash is of these documents: the first 16 bytes of a SHA-256 in hexadecimal.
	// When it is empty, an import goes on from the position without a check.
	Hash string
}

// String returns the position's text.
func (p Position) String() string {
	text := strconv.FormatInt(p.Documents, 10)
	if p.Hash != "" {
		text += ":" + p.Hash
	}
	return text
}

// MarshalText returns the position's text.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a position's text.
func (p *Position) UnmarshalText(text []byte) error {
	number, hash, hashed := strings.Cut(string(text), ":")
	documents, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return errors.New("expected a number of documents, 0 or more")
	}
	if sum, err := hex.DecodeString(hash); hashed && (err != nil || len(sum) != hashSize) {
		return fmt.Errorf("expected %d hexadecimal digits after the colon", 2*hashSize)
	}
	*p = Position{Documents: int64(documents), Hash: strings.ToLower(hash)}
	return nil
}

// A Place is where a document stands in its input.
type Place struct {
	Position int64 // among the documents; the first has 0
	// Line and LastLine are the lines of text that hold the document; the first
	// line of an input is 1. Both are 0 for an input without lines.
	Line, LastLine int64
}

// String returns "line 3", "lines 3 to 5", or "document at position 2" when there
// are no lines.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return fmt.Sprintf("document at position %d", p.Position)
	case p.LastLine > p.Line:
		return fmt.Sprintf("lines %d to %d", p.Line, p.LastLine)
	}
	return fmt.Sprintf("line %d", p.Line)
}
