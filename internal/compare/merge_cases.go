package main

import (
	"encoding/json"
	"errors"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

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
	rival := func(ofV, times float64) goal { return goal{ofV: ofV, rival: evanphx, times: times} }
	// Only the first row has a budget for Patch.
	patch := goal{rival: evanphx, allocs: 1}
	return []source{
		row("customer", "350 B customers, 120 B patches", func() []input { return customers(ascii, rotating) },
			rival(1.2, 20), goal{ofV: 1.6, rival: evanphx, allocs: 1}),
		row("cjk", "the same, CJK text", func() []input { return customers(cjk, rotating) }, rival(1.7, 0), patch),
		row("escapes", "the same, escape-heavy text", func() []input { return customers(escapes, rotating) }, rival(1.7, 0), patch),
		row("nested", "10 KB nested, small patches", func() []input { return nested(rotating) }, rival(1.1, 15), patch),
		row("wide", "1 MB of 10k members, 1k-member patches", func() []input { return wide(4) }, rival(1.0, 30), patch),
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
		{name: yardstick, run: func(i int) ([]byte, error) {
			in := at(i)
			if !gjson.ValidBytes(in.patch) || !gjson.ValidBytes(in.target) {
				return nil, errors.New("not valid")
			}
			return nil, nil
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
	return json.Marshal(mergeMaps(t, p))
}

func mergeMaps(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for name, value := range p {
		if value == nil {
			delete(t, name)
		} else {
			t[name] = mergeMaps(t[name], value)
		}
	}
	return t
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
