// Command crds says which schemas of custom resources compile without losing a check:
//
//	go run ./internal/compare/crds FOLDER
//
// from the root of the repository. Below the folder it reads each .json file as the JSON
// Schema of a resource, as in github.com/datreeio/CRDs-catalog, and each version of a
// CustomResourceDefinition in .yaml and .yml files. With -v it prints each schema that is
// refused, and where.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"example.com/resourcekit/schema"
)

func main() {
	log.SetFlags(0)
	verbose := flag.Bool("v", false, "print each schema that is refused")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: crds [-v] FOLDER")
	}
	var c counts
	err := filepath.WalkDir(flag.Arg(0), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		texts, err := schemasIn(path)
		if err != nil {
			log.Print(err) // and go on: templates are not YAML
		}
		for _, text := range texts {
			if err := c.add(text); err != nil && *verbose {
				fmt.Printf("%s: %v\n", path, err)
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(c.String())
}

// schemasIn returns the schemas in a file.
func schemasIn(path string) (texts [][]byte, err error) {
	switch filepath.Ext(path) {
	case ".json":
		text, err := os.ReadFile(path)
		return [][]byte{text}, err
	case ".yaml", ".yml":
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		for d := yaml.NewDecoder(file); ; {
			var manifest struct {
				Kind string
				Spec struct {
					Versions []struct {
						Schema struct {
							Schema any `yaml:"openAPIV3Schema"`
						}
					}
				}
			}
			err := d.Decode(&manifest)
			var other *yaml.TypeError // a manifest of another shape
			switch {
			case errors.Is(err, io.EOF):
				return texts, nil
			case err != nil && !errors.As(err, &other):
				return texts, fmt.Errorf("%s: %w", path, err)
			case manifest.Kind != "CustomResourceDefinition":
				continue
			}
			for _, version := range manifest.Spec.Versions {
				text, err := json.Marshal(version.Schema.Schema)
				if err != nil {
					return texts, fmt.Errorf("%s: %w", path, err)
				}
				texts = append(texts, text)
			}
		}
	}
	return nil, nil
}

// counts are those of many schemas.
type counts struct {
	schemas, compiled int
	rules             int            // schemas with rules of their own, in CEL; not among the others
	reasons           map[string]int // how many schemas were refused, by the first reason
}

// add compiles a schema as that of a field. The error is why it is refused.
func (c *counts) add(text []byte) error {
	if bytes.Contains(text, []byte(`"x-kubernetes-validations"`)) {
		c.rules++
		return nil
	}
	c.schemas++
	err := compile(text)
	if err == nil {
		c.compiled++
		return nil
	}
	if c.reasons == nil {
		c.reasons = make(map[string]int)
	}
	reason := err.Error()
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		v := invalid.Violations[0]
		reason = v.Message
		if keyword := v.Pointer[strings.LastIndexByte(string(v.Pointer), '/')+1:]; strings.HasPrefix(reason, "the keyword") {
			reason = string(keyword) + ": " + reason
		}
	}
	c.reasons[reason]++
	return err
}

func compile(text []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	delete(members, "$schema") // the schema is part of another one here
	text, err := json.Marshal(members)
	if err != nil {
		return err
	}
	whole := slices.Concat([]byte(`{"type":"object","properties":{"name":{"type":"string"},"resource":`), text, []byte(`},"required":["name"]}`))
	def, err := schema.ParseJSON(whole, schema.Meta{ID: uuid.Max, Name: "crd", ExternalID: "name", MaxBytes: 64 << 20})
	if err != nil {
		return err
	}
	_, err = schema.Compile(def)
	return err
}

// String returns the counts and the ten commonest reasons.
func (c *counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d schemas with x-kubernetes-validations left out\n", c.rules)
	fmt.Fprintf(&b, "%d of %d schemas compile (%.1f %%)\n", c.compiled, c.schemas, 100*float64(c.compiled)/float64(max(c.schemas, 1)))
	type reason struct {
		text  string
		count int
	}
	var list []reason
	for text, count := range c.reasons {
		list = append(list, reason{text, count})
	}
	slices.SortFunc(list, func(a, b reason) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.text, b.text))
	})
	for _, r := range list[:min(len(list), 10)] {
		fmt.Fprintf(&b, "%6d %s\n", r.count, r.text)
	}
	return b.String()
}
