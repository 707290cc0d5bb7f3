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

	"example.com/resourcekit/resource/ingest"
)

// counts are those of one or several runs.
type counts struct {
	ingest.Counts
	Repeated int64
}

// plus returns the sum with the counts of a run.
func (c counts) plus(r *ingest.Result) counts {
	c.Created += r.Created
	c.Updated += r.Updated
	c.Unchanged += r.Unchanged
	c.Failed += r.Failed
	c.Repeated += r.Repeated
	return c
}

// A positionFile keeps how far an import has come.
type positionFile struct {
	Position ingest.Position `json:"position"`
	Counts   counts          `json:"counts"`   // up to the position, of all runs
	Rejected int64           `json:"rejected"` // the bytes of -rejects up to the position
	Import   identity        `json:"import"`

	path string
}

// An identity says which import a position belongs to. Another import would silently leave
// out documents that were never stored, or were stored with other values.
type identity struct {
	Input   string `json:"input"` // the absolute path
	Store   string `json:"store"`
	Tenant  string `json:"tenant"`
	Schema  string `json:"schema"`
	Rejects string `json:"rejects,omitempty"` // the absolute path
	Flags   string `json:"flags"`             // the policies
}

// openPosition returns the position file of an import into a store, with what is in
// the file at the path, or the start when there is none.
func openPosition(path string, c config, store string) (*positionFile, error) {
	p := positionFile{path: path, Import: identity{
		Store: store, Tenant: c.tenant, Schema: c.schema,
		Flags: fmt.Sprintf("-format %s -comma %q -map %v -ignore-unknown=%t -onconflict %s -nulls %s",
			c.format, c.comma, c.columns, c.ignoreUnknown, c.onConflict, c.nulls),
	}}
	var err error
	if p.Import.Input, err = filepath.Abs(c.path); err == nil && c.rejects != "" {
		p.Import.Rejects, err = filepath.Abs(c.rejects)
	}
	if err != nil {
		return nil, err
	}
	p.Import.quoteInvalid()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &p, nil
	}
	if err != nil {
		return nil, err
	}
	found := positionFile{path: path}
	if err := json.Unmarshal(text, &found); err != nil || found.Rejected < 0 || found.Import == (identity{}) {
		return nil, fmt.Errorf("%s is not a position file", path)
	}
	if is := found.Import; is != p.Import {
		return nil, fmt.Errorf("%s is the position of another import: of %s, into the %s of %s in %s, with %s",
			path, is.Input, is.Schema, is.Tenant, is.Store, is.Flags)
	}
	return &found, nil
}

// quoteInvalid quotes the texts that JSON cannot hold: paths and arguments need not be
// UTF-8.
func (i *identity) quoteInvalid() {
	for _, text := range []*string{&i.Input, &i.Store, &i.Tenant, &i.Rejects, &i.Flags} {
		if !utf8.ValidString(*text) {
			*text = strconv.Quote(*text)
		}
	}
}

// save replaces the file in one step: after a crash it has the position before or this
// one.
func (p *positionFile) save() (err error) {
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
