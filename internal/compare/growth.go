package main

import (
	"fmt"
	"io"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/tidwall/gjson"

	"example.com/resourcekit/merge"
)

// A sweep is one property of an input that is doubled again and again.
type sweep struct {
	name     string
	unit     string
	from, to int
	input    func(n int) input
}

var sweeps = []sweep{
	{"width: n members, a patch that changes a tenth of them", "members", 500, 64_000, wideBy},
	{"deletions: n members, a patch that deletes all of them", "members", 500, 32_000, deleting},
	{"depth: n objects inside each other, a patch that changes a member of each", "levels", 1, merge.MaxDepth, deep},
}

// patience is how long one call may take that is still worth waiting for.
const patience = 300 * time.Millisecond

// growth prints what merges of doubling inputs take for each byte. Linear work
// stays where it is, quadratic work doubles from row to row.
func growth(out io.Writer, p pace) error {
	for _, sweep := range sweeps {
		fmt.Fprintf(out, "\nGrowth by %s:\n\n", sweep.name)
		t := newTable(out, sweep.unit, "bytes", "Append ns", "ns/byte", "V", evanphx+" ns", "ns/byte")
		tired := false
		for n := sweep.from; n <= sweep.to; n *= 2 {
			in := sweep.input(n)
			s := growthSet(in)
			if tired {
				s.contenders = s.contenders[:2]
			}
			timings, err := measure(s, pace{min(p.rounds, 5), p.batch / 2})
			if err != nil {
				return err
			}
			row := []string{fmt.Sprint(n), fmt.Sprint(s.bytes), "", "", "", "-", "-"}
			for i, column := range []int{2, -1, 5} {
				if i < len(timings) && column >= 0 {
					row[column] = fmt.Sprintf("%.0f", timings[i].median())
					row[column+1] = fmt.Sprintf("%.2f", timings[i].median()/float64(s.bytes))
				}
			}
			row[4] = fmt.Sprintf("%.2f", timings[0].by(&timings[1]))
			tired = tired || timings[2].median() > float64(patience)/2
			t.row(row...)
		}
		t.print()
	}
	return nil
}

// growthSet has ours, the yardstick and evanphx, in this order.
func growthSet(in input) *set {
	var dst []byte
	return &set{name: "growth", bytes: len(in.target) + len(in.patch), contenders: []contender{
		{name: "merge.Append", run: func(int) (_ []byte, err error) {
			dst, err = merge.Append(dst[:0], in.target, in.patch)
			return dst, err
		}},
		{name: yardstick, run: func(int) ([]byte, error) {
			_ = gjson.ValidBytes(in.target) && gjson.ValidBytes(in.patch)
			return nil, nil
		}},
		{name: evanphx, run: func(int) ([]byte, error) { return jsonpatch.MergePatch(in.target, in.patch) }},
	}}
}
