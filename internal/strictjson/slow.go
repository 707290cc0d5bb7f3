//go:build slowjson

package strictjson

// With the tag slowjson each test runs without the fast reader:
//
//	go test -tags slowjson ./...
func init() { Slow = true }
