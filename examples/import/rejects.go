package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"example.com/resourcekit/resource/ingest"
)

// A rejects is the file of the documents that failed. It is made with the first of
// them.
type rejects struct {
	path   string
	header []byte
	file   *os.File // nil as long as there is none
	size   int64
}

// openRejects returns the rejects of an import of the file at input. An import that
// goes on adds to those of the runs before, of which it keeps so many bytes, or all
// when kept is negative; any other makes a new file.
func openRejects(path string, header []byte, input string, goesOn bool, kept int64) (*rejects, error) {
	r := &rejects{path: path, header: header}
	found, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if kept > 0 {
			return nil, fmt.Errorf("%s has the documents of an earlier run, and is not there", path)
		}
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	read, err := os.Stat(input)
	if !goesOn || err == nil && os.SameFile(found, read) {
		return nil, fmt.Errorf("%s exists already", path)
	}
	if r.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if kept >= 0 {
		err = r.file.Truncate(kept) // what came after it will come again
	}
	if err == nil {
		r.size, err = r.file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	return r, nil
}

// add writes a document that failed.
func (r *rejects) add(e ingest.DocumentError, text []byte) (err error) {
	if r.file == nil {
		if r.file, err = os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	var block []byte
	if r.size == 0 {
		block = r.header
	}
	e.Err = errors.New(reason(e.Err))
	n, err := r.file.Write(ingest.AppendRejected(block[:len(block):len(block)], e, text))
	r.size += int64(n)
	return err
}

// sync makes what is written durable, and returns how many bytes that is.
func (r *rejects) sync() (int64, error) {
	if r.file == nil {
		return 0, nil
	}
	return r.size, r.file.Sync()
}

func (r *rejects) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
}
