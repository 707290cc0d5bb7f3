package main

import (
	"encoding/json"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"example.com/resourcekit/internal/rfc7396"
	"example.com/resourcekit/merge"
)

const (
	evanphx = "evanphx/json-patch"
	stdlib  = "encoding/json"
	sjsons  = "sjson loop"
)

func mergeSources() []source {
	row := func(name, title string, inputs func() []input, append, patch goal) source {
		return source{name: name, open: func() (*set, error) {
			return mergeSet(name, title, inputs(), append, patch), nil
		}}
	}
	// allocs is 0 for Append, and 1 for Patch.
	rival := func(ofV, times, allocs float64) goal {
		return goal{ofV: ofV, rival: evanphx, times: times, allocs: allocs}
	}
	patch := rival(0, 0, 1) // only the first row has a budget for its time
	same := func(s script) func() []input { return func() []input { return customers(s, rotating) } }
	made := func(inputs func(n int) []input, n int) func() []input { return func() []input { return inputs(n) } }
	return []source{
		row("customer", "350 B customers, 120 B patches", same(ascii), rival(0.8, 40, 0), rival(1.35, 0, 1)),
		row("cjk", "the same, CJK text", same(cjk), rival(0.95, 0, 0), patch),
		row("escapes", "the same, escape-heavy text", same(escapes), rival(1.1, 0, 0), patch),
		row("mixed", "the same, an object and a short array in each", made(mixed, rotating), rival(1, 32, 0), patch),
		row("reordered", "the same, each in an order of its own", made(reordered, rotating), rival(0, 0, 0), patch),
		row("pretty", "the same, pretty-printed", made(pretty, rotating), rival(0, 0, 0), patch),
		row("nested", "10 KB nested, small patches", made(nested, rotating), rival(1.1, 19, 0), patch),
		row("wide", "1 MB of 10k members, 1k-member patches", made(wide, 4), rival(0.9, 45, 0), patch),
	}
}

func mergeSet(name, title string, inputs []input, appendGoal, patchGoal goal) *set {
	s := &set{name: name, title: title, bytes: averageBytes(inputs)}
	var dst []byte
	at := func(i int) *input { return &inputs[i%len(inputs)] }
	s.contenders = []contender{
		{name: "merge.Append", goal: &appendGoal, run: func(i int) (_ []byte, err error) {
			in := at(i)
			dst, err = merge.Append(dst[:0], in.target, in.patch)
			return dst, err
		}},
		{name: "merge.Patch", goal: &patchGoal, run: func(i int) ([]byte, error) {
			in := at(i)
			return merge.Patch(in.target, in.patch)
		}},
		{name: evanphx, run: func(i int) ([]byte, error) {
			in := at(i)
			return jsonpatch.MergePatch(in.target, in.patch)
		}},
		{name: stdlib, run: func(i int) ([]byte, error) {
			in := at(i)
			return mapMerge(in.target, in.patch)
		}},
		{name: sjsons, once: s.bytes > 1<<18, run: func(i int) ([]byte, error) {
			in := at(i)
			return sjsonMerge(in.target, "", gjson.ParseBytes(in.patch))
		}},
	}
	s.contenders = append(s.contenders, yardsticks(func(i int) (document, patch []byte) { return at(i).target, at(i).patch })...)
	return s
}

func averageBytes(inputs []input) int {
	sum := 0
	for _, in := range inputs {
		sum += len(in.target) + len(in.patch)
	}
	return sum / len(inputs)
}

// mapMerge decodes both inputs, merges the maps by the pseudo-code of RFC 7396,
// section 2, and encodes the result. Numbers become float64.
func mapMerge(target, patch []byte) ([]byte, error) {
	var t, p any
	if err := json.Unmarshal(target, &t); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	return json.Marshal(rfc7396.MergePatch(t, p))
}

// sjsonMerge sets or deletes one member of the patch after the other. It is no
// merge in general: a name that means something in sjson's path language, and
// an object that meets a scalar or nothing, come out wrong. The inputs here have
// neither.
func sjsonMerge(target []byte, path string, patch gjson.Result) ([]byte, error) {
	var err error
	patch.ForEach(func(name, value gjson.Result) bool {
		at := path + name.Str
		switch {
		case value.Type == gjson.Null:
			target, err = sjson.DeleteBytes(target, at)
		case value.IsObject():
			target, err = sjsonMerge(target, at+".", value)
		default:
			target, err = sjson.SetRawBytes(target, at, []byte(value.Raw))
		}
		return err == nil
	})
	return target, err
}
