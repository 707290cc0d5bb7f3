package schema

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"strconv"

	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/internal/strictjson"
)

// list judges the size of the array at node, and that no element is there twice.
func (j *judge) list(f *field, node uint32) {
	j.found = f.checks.judgeSize(j.found[:0], ofArray, int(j.doc.Nodes[node].Len), -1)
	if f.checks.unique {
		if a, b := j.repeated(node); b != 0 {
			j.found = append(j.found, Violation{
				Code: codeUniqueItems, Message: "expected no two equal elements, found some at " + strconv.Itoa(a) + " and " + strconv.Itoa(b),
			})
		}
	}
	for _, v := range j.found {
		j.report(f, v.Code, v.Message)
	}
}

// repeated returns the indexes of two equal elements of the array at node, 0 and 0 if
// there are none. It looks each element up by a seeded hash, so it is linear in the array.
func (j *judge) repeated(node uint32) (first, second int) {
	n := &j.doc.Nodes[node]
	if n.Len < 2 {
		return 0, 0
	}
	// An open hash table, at most half full, of the hash and the node of an element.
	size := 1 << bits.Len32(2*n.Len)
	if cap(j.seen) < size {
		j.seen = make([]uint64, size)
	}
	table, mask := j.seen[:size], uint32(size-1)
	clear(table)
	for c := node + 1; c < n.Next; c = j.doc.Nodes[c].Next {
		hash := uint32(j.hash(c))
		slot := hash & mask
		for ; table[slot] != 0; slot = (slot + 1) & mask {
			if other := uint32(table[slot]); uint32(table[slot]>>32) == hash && j.same(other, c) {
				return j.indexOf(node, other), j.indexOf(node, c)
			}
		}
		table[slot] = uint64(hash)<<32 | uint64(c)
	}
	return 0, 0
}

func (j *judge) indexOf(array, element uint32) int {
	i := 0
	for c := array + 1; c != element; c = j.doc.Nodes[c].Next {
		i++
	}
	return i
}

// hashSeed is another one in each process, so that clients cannot choose values that
// collide.
var hashSeed = maphash.MakeSeed()

// hash returns a hash of a value of the request that is the same for equal values in the
// sense of JSON Schema, without what the policies drop.
func (j *judge) hash(c uint32) uint64 {
	d := j.doc
	n := &d.Nodes[c]
	switch n.Kind {
	case strictjson.Number:
		var buf [64]byte
		return maphash.Bytes(hashSeed, indexvalue.AppendNumber(buf[:0], d.Text(c)))
	case strictjson.String:
		if n.Escapes&strictjson.InValue == 0 {
			return maphash.Bytes(hashSeed, d.Text(c))
		}
		j.scratch = append(d.AppendString(append(j.scratch[:0], '"'), c), '"')
		return maphash.Bytes(hashSeed, j.scratch)
	case strictjson.Array, strictjson.Object:
		sum := maphash.Comparable(hashSeed, n.Kind)
		for e := c + 1; e < n.Next; e = d.Nodes[e].Next {
			if d.Nodes[e].Mark&strictjson.Omitted != 0 {
				continue
			}
			hash := j.hash(e)
			if n.Kind == strictjson.Array {
				sum = mixed(sum, hash)
			} else { // in any order
				sum += mixed(hash, uint64(d.Nodes[e].Hash))
			}
		}
		return sum
	}
	return maphash.Comparable(hashSeed, n.Kind)
}

// mixed returns a hash of two hashes.
func mixed(a, b uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	hi, lo := bits.Mul64(a^odd, b+odd)
	return bits.RotateLeft64(a, 31) ^ hi ^ lo
}

// same reports whether two values of the request are equal in the sense of JSON Schema:
// numbers by value, objects without regard to the order of their members. What the
// policies drop is not there. It is linear in the two.
func (j *judge) same(a, b uint32) bool {
	d := j.doc
	x, y := &d.Nodes[a], &d.Nodes[b]
	if x.Kind != y.Kind {
		return false
	}
	switch x.Kind {
	case strictjson.Number:
		var bufX, bufY [64]byte
		return bytes.Equal(indexvalue.AppendNumber(bufX[:0], d.Text(a)), indexvalue.AppendNumber(bufY[:0], d.Text(b)))
	case strictjson.String:
		return d.SameString(a, d, b)
	case strictjson.Array:
		c, e := a+1, b+1
		for ; c < x.Next && e < y.Next; c, e = d.Nodes[c].Next, d.Nodes[e].Next {
			if !j.same(c, e) {
				return false
			}
		}
		return c == x.Next && e == y.Next
	case strictjson.Object:
		var index strictjson.Index
		index.Init(d, b)
		members := 0
		for c := a + 1; c < x.Next; c = d.Nodes[c].Next {
			if d.Nodes[c].Mark&strictjson.Omitted != 0 {
				continue
			}
			e := index.Find(d, c)
			if e == 0 || d.Nodes[e].Mark&strictjson.Omitted != 0 || !j.same(c, e) {
				return false
			}
			members++
		}
		for e := b + 1; e < y.Next; e = d.Nodes[e].Next {
			if d.Nodes[e].Mark&strictjson.Omitted == 0 {
				members--
			}
		}
		return members == 0
	}
	return true
}
