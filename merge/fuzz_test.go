package merge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"example.com/resourcekit/internal/rfc7396"
	"example.com/resourcekit/merge"
)

func decode(t *testing.T, text []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func mustPatch(t *testing.T, target, patch []byte) []byte {
	t.Helper()
	got, err := merge.Patch(target, patch)
	if err != nil {
		t.Fatalf("Patch(%q, %q): %v", target, patch, err)
	}
	return got
}

// FuzzPatch holds Patch against the RFC's pseudo-code, and against itself:
// the result is compact, inputs are unchanged, a second application changes
// nothing, the empty patch changes nothing, and Append agrees.
func FuzzPatch(f *testing.F) {
	for _, r := range rules {
		f.Add([]byte(r.target), []byte(r.patch))
	}
	f.Fuzz(func(t *testing.T, target, patch []byte) {
		wantTarget, wantPatch := bytes.Clone(target), bytes.Clone(patch)
		got, err := merge.Patch(target, patch)
		if !bytes.Equal(target, wantTarget) || !bytes.Equal(patch, wantPatch) {
			t.Fatal("an input was changed")
		}
		appended, appendErr := merge.Append([]byte("dst"), target, patch)
		if (err == nil) != (appendErr == nil) || string(appended) != "dst"+string(got) {
			t.Fatalf("Append: %q, %v; Patch: %q, %v", appended, appendErr, got, err)
		}
		if err != nil {
			var syntax *merge.SyntaxError
			if got != nil || !errors.As(err, &syntax) {
				t.Fatalf("%q, %v", got, err)
			}
			return
		}
		var old any
		if len(target) > 0 {
			old = decode(t, target)
		}
		if want := rfc7396.MergePatch(old, decode(t, patch)); !reflect.DeepEqual(want, decode(t, got)) {
			t.Fatalf("Patch(%q, %q) = %q, want %v", target, patch, got, want)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, got); err != nil || !bytes.Equal(compact.Bytes(), got) {
			t.Fatalf("not compact: %q, %v", got, err)
		}
		if again := mustPatch(t, got, patch); !bytes.Equal(again, got) {
			t.Fatalf("twice: %q, once: %q", again, got)
		}
		if got[0] == '{' {
			if same := mustPatch(t, got, []byte("{}")); !bytes.Equal(same, got) {
				t.Fatalf("the empty patch made %q of %q", same, got)
			}
		}
	})
}

// FuzzDiff checks that a diff leads where it says, that it is refused only for
// a null member, and that Changes agrees with it on whether anything differs.
func FuzzDiff(f *testing.F) {
	for _, r := range rules {
		f.Add([]byte(r.target), []byte(r.want))
		f.Add([]byte(r.target), []byte(r.patch))
	}
	f.Fuzz(func(t *testing.T, from, to []byte) {
		diff, err := merge.Diff(from, to)
		changed, removed, changesErr := merge.Changes(from, to)
		var syntax *merge.SyntaxError
		switch {
		case errors.As(err, &syntax):
			if len(to) > 0 && changesErr == nil {
				t.Fatalf("Diff: %v, Changes: no error", err)
			}
			return
		case errors.Is(err, merge.ErrNotRepresentable):
			if !holdsNullMember(decode(t, to)) {
				t.Fatalf("Diff(%q, %q): %v", from, to, err)
			}
			return
		case err != nil || changesErr != nil:
			t.Fatalf("Diff: %v, Changes: %v", err, changesErr)
		}
		if got := mustPatch(t, from, diff); !merge.Equal(got, to) {
			t.Fatalf("Patch(%q, %q) = %q, want %q", from, diff, got, to)
		}
		if same := merge.Equal(from, to); same != (len(changed)+len(removed) == 0) {
			t.Fatalf("Equal: %v, changed: %q, removed: %q", same, changed, removed)
		}
		if string(diff) == "{}" && len(from) > 0 && from[0] == '{' && !merge.Equal(from, to) {
			t.Fatalf("empty diff between %q and %q", from, to)
		}
	})
}

func holdsNullMember(v any) bool {
	o, _ := v.(map[string]any)
	for _, value := range o {
		if value == nil || holdsNullMember(value) {
			return true
		}
	}
	return false
}

// FuzzEqual checks that Equal is what decoding and comparing says, and that it
// is symmetric and reflexive on valid input.
func FuzzEqual(f *testing.F) {
	for _, r := range rules {
		f.Add([]byte(r.target), []byte(r.want))
		f.Add([]byte(r.patch), []byte(r.want))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got := merge.Equal(a, b)
		if got != merge.Equal(b, a) {
			t.Fatal("not symmetric")
		}
		strict := func(text []byte) bool {
			_, err := merge.Patch(nil, text)
			return err == nil
		}
		if strict(a) != merge.Equal(a, a) {
			t.Fatal("not reflexive")
		}
		want := strict(a) && strict(b) && reflect.DeepEqual(decode(t, a), decode(t, b))
		if got != want {
			t.Fatalf("Equal(%q, %q) = %v", a, b, got)
		}
	})
}
