package resource_test

import (
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage"

	"github.com/stretchr/testify/assert"
)

func TestCondition(t *testing.T) {
	at, not := resource.AtRevision, resource.NotAtRevision
	for _, tt := range []struct {
		c     resource.Condition
		text  string
		holds []storage.Revision // of 0, 1, 2 and 3
	}{
		{resource.Condition{}, "any", []storage.Revision{0, 1, 2, 3}},
		{at(1), "revision 1", []storage.Revision{1}},
		{at(2, 1, 2), "revision 1 or 2", []storage.Revision{1, 2}},
		{at(), "no revision", nil},
		{at(0), "absent", []storage.Revision{0}},
		{at(0, 2), "revision 0 or 2", []storage.Revision{0, 2}},
		{not(0), "not absent", []storage.Revision{1, 2, 3}},
		{not(1), "not revision 1", []storage.Revision{0, 2, 3}},
		{not(3, 1), "not revision 1 or 3", []storage.Revision{0, 2}},
		{not(), "any", []storage.Revision{0, 1, 2, 3}},
		{resource.Absent(), "absent", []storage.Revision{0}},
		{at(1, 2).And(at(2, 3)), "revision 2", []storage.Revision{2}},
		{at(1).And(at(2)), "no revision", nil},
		{at(9, 1, 5, 3).And(at(7, 3, 2, 9, 8)), "revision 3 or 9", []storage.Revision{3}},
		{not(9, 2, 5).And(at(7, 3, 2, 9)), "revision 2 or 3 or 7 or 9 and not revision 2 or 5 or 9", []storage.Revision{3}},
		{at(1, 2).And(not(2)), "revision 1 or 2 and not revision 2", []storage.Revision{1}},
		{not(1).And(not(2)), "not revision 1 or 2", []storage.Revision{0, 3}},
		{not(1).And(not(0)), "not revision 0 or 1", []storage.Revision{2, 3}},
		{resource.Absent().And(not(0)), "absent and not absent", nil},
		{resource.Absent().And(at(1)), "no revision", nil},
		{resource.Condition{}.And(at(1)), "revision 1", []storage.Revision{1}},
	} {
		assert.Equal(t, tt.text, tt.c.String())
		var holds []storage.Revision
		for r := range storage.Revision(4) {
			if tt.c.Holds(r) {
				holds = append(holds, r)
			}
		}
		assert.Equal(t, tt.holds, holds, tt.text)
		assert.Equal(t, tt.c, tt.c.And(tt.c), tt.text)
		assert.Equal(t, tt.c, tt.c.And(resource.Condition{}), tt.text)
	}
	assert.True(t, at(1, 2) == at(2, 1), "comparable")
	assert.True(t, at(0) == resource.Absent())
	assert.False(t, at(1) == not(1))
}
