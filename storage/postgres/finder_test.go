package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

// TestFinder: rows come in the order of the ids, which no statement promises, and
// some may be missing.
func TestFinder(t *testing.T) {
	for _, tt := range []struct {
		name string
		rows []string
		want []int
	}{
		{"in order", []string{"a", "b", "c", "d"}, []int{0, 1, 2, 3}},
		{"some", []string{"b", "d"}, []int{1, 3}},
		{"backwards", []string{"d", "c", "b", "a"}, []int{3, 2, 1, 0}},
		{"mixed", []string{"c", "a", "d", "b"}, []int{2, 0, 3, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := finder{ids: newArray[pgtype.Text](4)}
			for i, id := range []string{"a", "b", "c", "d"} {
				*at.ids[i] = toText(id)
			}
			for i, id := range tt.rows {
				got, err := at.find([][]byte{[]byte(id), nil})
				require.NoError(t, err)
				require.Equal(t, tt.want[i], got)
			}
			for _, id := range []string{"", "aa", "e"} {
				_, err := at.find([][]byte{[]byte(id)})
				require.ErrorIs(t, err, errForeignRow, "%q", id)
			}
		})
	}
}
