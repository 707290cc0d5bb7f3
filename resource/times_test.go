package resource_test

import (
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTimes: UTC, truncated to the millisecond when made, three decimals and Z.
func TestTimes(t *testing.T) {
	east := time.FixedZone("east", 5*3600+1800)
	west := time.FixedZone("west", -11*3600)
	for _, tt := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"whole second", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), "2024-01-02T03:04:05.000Z"},
		{"one millisecond", time.Date(2024, 1, 2, 3, 4, 5, 1_000_000, time.UTC), "2024-01-02T03:04:05.001Z"},
		{"just below a millisecond", time.Date(2024, 1, 2, 3, 4, 5, 999_999, time.UTC), "2024-01-02T03:04:05.000Z"},
		{"just below a second", time.Date(2024, 1, 2, 3, 4, 5, 999_999_999, time.UTC), "2024-01-02T03:04:05.999Z"},
		{"just below a year", time.Date(2023, 12, 31, 23, 59, 59, 999_999_999, time.UTC), "2023-12-31T23:59:59.999Z"},
		{"ten milliseconds", time.Date(2024, 1, 2, 3, 4, 5, 10_999_999, time.UTC), "2024-01-02T03:04:05.010Z"},
		{"before 1970", time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC), "1969-12-31T23:59:59.999Z"},
		{"leap day", time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), "2024-02-29T12:00:00.000Z"},
		{"east of Greenwich", time.Date(2024, 1, 1, 2, 0, 0, 7_654_321, east), "2023-12-31T20:30:00.007Z"},
		{"west of Greenwich", time.Date(2024, 2, 29, 23, 0, 0, 7_654_321, west), "2024-03-01T10:00:00.007Z"},
		{"year 1", time.Time{}, "0001-01-01T00:00:00.000Z"},
		{"year 1, a little later", time.Date(1, 1, 1, 0, 0, 0, 999_999_999, time.UTC), "0001-01-01T00:00:00.999Z"},
		{"year 99", time.Date(99, 10, 11, 0, 0, 0, 0, time.UTC), "0099-10-11T00:00:00.000Z"},
		{"year 9999", time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), "9999-12-31T23:59:59.999Z"},
		{"with a monotonic reading", time.Now(), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := open(t, schema.Customers(), memory.New(), &resource.Options{Now: func() time.Time { return tt.now }})
			res := create(t, c, cust(``))
			if tt.name == "with a monotonic reading" {
				tt.want = tt.now.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
			}
			text := string(res.AppendJSON(nil, nil))
			for _, name := range []string{"createdAt", "created_at", "updatedAt", "updated_at"} {
				assert.Contains(t, text, `"`+name+`":"`+tt.want+`"`)
			}
			got, err := c.Get(ctx, tenant, "c-1")
			require.NoError(t, err)
			assert.Equal(t, res.CreatedAt(), got.CreatedAt(), "with no trace of the clock's zone or monotonic reading")
			assert.Equal(t, text, string(got.AppendJSON(nil, nil)))
			assert.Equal(t, time.UTC, res.UpdatedAt().Location())
		})
	}
}

// TestTwoCreatedAt: the one in the data is the caller's, the one beside it the
// resource's own, and neither touches the other.
func TestTwoCreatedAt(t *testing.T) {
	clock := before
	c := open(t, schema.Customers(), memory.New(), &resource.Options{Now: func() time.Time { return clock }})
	old := create(t, c, strings.Replace(cust(``), "2024-05-01", "1850-05-01", 1))
	assert.Equal(t, before, old.CreatedAt())
	assert.Contains(t, string(old.Data()), `"createdAt":"1850-05-01T10:00:00Z"`)
	clock = now
	res := create(t, c, `{"customerId":"c-1","createdAt":"2999-01-01T00:00:00+14:00"}`)
	assert.Equal(t, before, res.CreatedAt())
	assert.Equal(t, now, res.UpdatedAt())
	assert.Contains(t, string(res.Data()), `"createdAt":"2999-01-01T00:00:00+14:00"`)
}

// TestClockGoesBack: createdAt never changes, and updatedAt never goes back.
func TestClockGoesBack(t *testing.T) {
	clock := now
	c := open(t, schema.Customers(), memory.New(), &resource.Options{Now: func() time.Time { return clock }})
	last := create(t, c, cust(``))
	for i, step := range []time.Duration{-time.Hour, -time.Millisecond, -100 * 365 * 24 * time.Hour, time.Microsecond, time.Millisecond, time.Minute, -time.Minute} {
		clock = now.Add(step)
		res := create(t, c, `{"customerId":"c-1","email":"`+strings.Repeat("e", i+1)+`"}`)
		assert.Equal(t, resource.Updated, res.Outcome)
		assert.Equal(t, now, res.CreatedAt())
		want := last.UpdatedAt()
		if at := clock.Truncate(time.Millisecond); at.After(want) {
			want = at
		}
		assert.Equal(t, want, res.UpdatedAt(), "step %v", step)
		got, err := c.Get(ctx, tenant, "c-1")
		require.NoError(t, err)
		assert.Equal(t, want, got.UpdatedAt())
		last = res
	}
	clock = now.Add(time.Hour)
	assert.Equal(t, last.UpdatedAt(), create(t, c, cust(``)).UpdatedAt(), "no change")
}
