// Package rfc7396 has the pseudo-code of RFC 7396, on decoded values. Tests compare
// package merge with it, and internal/compare measures it.
package rfc7396

// MergePatch is the pseudo-code of RFC 7396, section 2, word for word. It changes the
// maps of target.
func MergePatch(target, patch any) any {
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
			t[name] = MergePatch(t[name], value)
		}
	}
	return t
}
