package httpapi

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Held returns the bytes that the exchanges of an API hold: what waits for clients,
// and what is being worked on.
func (a *API) Held() (in, work int64) {
	held := func(r *room) int64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.held
	}
	return held(&a.in), held(&a.work)
}

// inLine waits until so many wait in line.
func (r *room) inLine(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.waiting == n
	}, 10*time.Second, time.Millisecond)
}

func TestRoom(t *testing.T) {
	ctx := context.Background()
	const unit = smallBytes
	r := &room{max: 1000 * unit}
	enter := func(bytes int64) *hold {
		h := &hold{room: r}
		require.NoError(t, h.wait(ctx, bytes, time.Minute))
		return h
	}
	// Each leaves room for three more of its size, or a quarter.
	enter(5000 * unit).force(0) // alone
	large := []*hold{enter(300 * unit), enter(300 * unit)}
	admitted := make(chan int64, 10)
	line := 0
	queue := func(bytes int64) {
		go func() {
			h := &hold{room: r}
			if err := h.wait(ctx, bytes, time.Minute); err == nil {
				admitted <- bytes
			}
		}()
		line++
		r.inLine(t, line)
	}
	queue(300 * unit)
	queue(299 * unit) // is not let in before the one that is hardly larger
	enter(40 * unit)
	enter(40 * unit).force(0)
	assert.EqualValues(t, 640*unit, r.held)
	large[0].force(280 * unit)
	assert.Empty(t, admitted)
	large[0].force(0)
	assert.EqualValues(t, 300*unit, <-admitted)
	large[1].force(0)
	assert.EqualValues(t, 299*unit, <-admitted)

	h := &hold{room: r}
	assert.False(t, h.try(300*unit))
	assert.True(t, h.try(50*unit))
	assert.True(t, h.try(20*unit), "less is always possible")
	assert.EqualValues(t, (300+299+40+20)*unit, r.held)
	h.force(2000 * unit)
	assert.EqualValues(t, (300+299+40+2000)*unit, r.held)
	assert.Zero(t, r.waiting)
}

// TestRoomErrors: who leaves the line holds nothing.
func TestRoomErrors(t *testing.T) {
	r := &room{max: 1000}
	full := &hold{room: r}
	full.force(1000)
	h := &hold{room: r}
	assert.Equal(t, error(errBusy), h.wait(context.Background(), 10, time.Millisecond))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorIs(t, h.wait(ctx, 10, time.Minute), context.Canceled)
	assert.EqualValues(t, 1000, r.held)
	assert.Zero(t, r.waiting)
	full.force(0)
	require.NoError(t, h.wait(ctx, 10, time.Minute), "there is room")
}

// TestRelief: while there is a line, those who wait for their clients are cut, the
// longest first, and no more than it takes.
func TestRelief(t *testing.T) {
	r := &room{max: 1000}
	var cut []int
	for i := range 3 {
		h := &hold{room: r, cut: func() { cut = append(cut, i) }}
		h.force(200)
		if i != 1 {
			h.waits()
			r.stalled[h] = time.Now().Add(-time.Duration(i+1) * time.Minute)
		}
	}
	h := &hold{room: r}
	require.NoError(t, h.wait(context.Background(), 200, time.Minute))
	assert.Equal(t, []int{2}, cut, "the one that has waited for longest")
}
