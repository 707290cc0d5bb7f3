package resource_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPrintedByValue: a Result or Resource that is passed on by value (a log
// call with *res, a map or an interface that holds one) must not spill its
// document into the log, and must marshal to the same JSON as by pointer.
func TestPrintedByValue(t *testing.T) {
	c, _ := customers(t)
	res := create(t, c, cust(`,"email":"`+marker+`"`))
	for _, v := range []any{*res, res.Resource} {
		assert.NotContains(t, fmt.Sprintf("%s", v), marker)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("created", "res", v)
		assert.NotContains(t, log.String(), marker)
		assert.Contains(t, log.String(), "resource "+secondID.String())
		assert.Equal(t, "resource "+secondID.String(), fmt.Sprint(v))
		text, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, string(res.AppendJSON(nil, nil)), string(text))
	}
}
