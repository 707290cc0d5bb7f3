package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"
)

// A positionFile keeps how far an import has come. It knows which import that is:
// another one would silently leave out documents that nobody has stored.
type positionFile struct {
	Position      int64  `json:"position"`
	Input         string `json:"input"` // the absolute path, or "-"
	Store         string `json:"store"`
	Tenant        string `json:"tenant"`
	Schema        string `json:"schema"`
	IgnoreUnknown bool   `json:"ignoreUnknown"`

	path string
}

// openPosition returns the position file of an import into a store, with the
// position in the file at the path, or 0 when there is none.
func openPosition(path string, c config, store string) (*positionFile, error) {
	p := positionFile{Input: c.path, Store: store, Tenant: c.tenant, Schema: c.schema, IgnoreUnknown: c.ignoreUnknown, path: path}
	if p.Input != "-" {
		var err error
		if p.Input, err = filepath.Abs(p.Input); err != nil {
			return nil, err
		}
	}
	p.Input, p.Store = quoteInvalid(p.Input), quoteInvalid(p.Store)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &p, nil
	}
	if err != nil {
		return nil, err
	}
	found := positionFile{path: path}
	if err := json.Unmarshal(text, &found); err != nil || found.Position < 0 {
		return nil, fmt.Errorf("%s is no position file", path)
	}
	p.Position = found.Position
	if found != p {
		return nil, fmt.Errorf("%s is the position of another import: of %s, into the %s of %s in %s", path, found.Input, found.Schema, found.Tenant, found.Store)
	}
	return &p, nil
}

// quoteInvalid quotes a text that JSON cannot hold: paths need not be UTF-8.
func quoteInvalid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return strconv.Quote(text)
}

// save replaces the file in one step: whatever happens, it has the position before
// or this one.
func (p *positionFile) save(position int64) (err error) {
	p.Position = position
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(p.path), filepath.Base(p.path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(append(text, '\n'))
	if err == nil {
		err = file.Sync() // before the rename, or a loss of power could leave an empty file
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), p.path)
}

// remove removes the file, if there is one.
func (p *positionFile) remove() error {
	if err := os.Remove(p.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
