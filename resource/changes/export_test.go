package changes

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// Keep sets how much a tail keeps.
func (t *Tail) Keep(changes, data int) { t.maxRecent, t.maxRecentData = changes, data }

// LargestState returns the size of the largest record of a consumer whose handler has this
// error, in bytes.
func LargestState(err error) int {
	at := storage.Cursor{Position: math.MaxInt64, Revision: math.MaxInt64}
	late := time.Date(2999, 12, 31, 23, 59, 59, 999e6, time.UTC)
	st := state{
		Position: at, Resume: at, Fence: math.MaxUint64, Owner: newOwner(), Lease: math.MaxInt64, Renewed: late,
		Delivered: math.MaxUint64, Failed: math.MaxUint64, Salt: bytes.Repeat([]byte{1}, keySize),
		Parked: slices.Repeat([]parked{{
			Platform: uuid.Max, Business: uuid.Max, Schema: uuid.Max, ID: uuid.Max, Key: bytes.Repeat([]byte{1}, keySize),
			Redacted: "redacted-" + strings.Repeat("0", 32), After: at, Since: late, Attempts: math.MaxInt32, Next: late, Error: textOf(err),
		}}, maxParked),
	}
	rec, _ := st.record()
	return len(rec.Data)
}
