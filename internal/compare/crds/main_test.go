package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestManifest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crd.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`
kind: Other
spec: {versions: 1}
---
kind: CustomResourceDefinition
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema: {type: object, properties: {spec: {type: integer, minimum: 1, default: 2}}}
`), 0o600))
	texts, err := schemasIn(path)
	require.NoError(t, err)
	require.Len(t, texts, 1)
	require.JSONEq(t, `{"type":"object","properties":{"spec":{"type":"integer","minimum":1,"default":2}}}`, string(texts[0]))
	require.NoError(t, compile(texts[0]))
}

func TestCounts(t *testing.T) {
	var c counts
	for _, text := range []string{
		`{"$schema":"http://json-schema.org/schema#","type":"object","properties":{"spec":{"type":"object","properties":{"port":{"anyOf":[{"type":"integer"},{"type":"string"}],"x-kubernetes-int-or-string":true}},"additionalProperties":false}}}`,
		`{"type":"object","properties":{"spec":{"type":"object","x-kubernetes-validations":[{"rule":"true"}]}}}`,
		`{"type":"object","properties":{"spec":{"type":"array","items":{"type":"string","nullable":true}}}}`,
		`{"type":"object","properties":{"spec":{"if":{}}}}`,
		`{"type":"object","properties":{"net":{"type":"string","format":"cidr"}}}`,
		`[]`,
	} {
		c.add([]byte(text))
	}
	require.Equal(t, `1 schemas with x-kubernetes-validations left out
1 of 5 schemas compile (20.0 %)
     1 an element of an array cannot be null here: leave null out
     1 if: the keyword is not supported: write anyOf with not and required, or a Rule in Go
     1 json: cannot unmarshal array into Go value of type map[string]json.RawMessage
     1 the format "cidr" is not known
`, c.String())
}
