package storage_test

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// TestNextRevision: the first one and each step are random, and there is room for 2^32
// steps.
func TestNextRevision(t *testing.T) {
	const greatestFirst, greatestStep = 1 << 62, 1 << 30
	require.LessOrEqual(t, uint64(greatestFirst+(1<<32-1)*greatestStep), uint64(math.MaxInt64))
	firsts, steps := make(map[storage.Revision]bool), make(map[storage.Revision]bool)
	for range 10_000 {
		first := storage.NextRevision(0)
		require.NotZero(t, first)
		require.LessOrEqual(t, first, storage.Revision(greatestFirst))
		require.False(t, firsts[first])
		firsts[first] = true
		step := storage.NextRevision(first) - first
		require.NotZero(t, step)
		require.LessOrEqual(t, step, storage.Revision(greatestStep))
		steps[step] = true
	}
	require.Greater(t, len(steps), 9_900)
	require.Greater(t, storage.NextRevision(1), storage.Revision(1))
}

// TestRecordHidesWhatIsPersonal: an external id and data are in no text of a record.
func TestRecordHidesWhatIsPersonal(t *testing.T) {
	rec := storage.Record{Key: key("secret"), Data: []byte("secret"), Revision: 7}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "rec", rec, "key", rec.Key)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", rec, rec, rec, rec), fmt.Sprintf("%v %+v %#v %s", rec.Key, rec.Key, rec.Key, rec.Key), log.String()} {
		require.NotContains(t, text, "secret")
		require.Contains(t, text, "6 bytes")
	}
}
