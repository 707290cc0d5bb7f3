package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cheggaaa/pb/v3"
	"github.com/cheggaaa/pb/v3/termutil"
	"github.com/mattn/go-isatty"
)

// A display shows how far an import has come.
type display interface {
	// show is told after each batch how many documents are done, and how many
	// bytes of the input have been read.
	show(documents, bytes int64)
	// line prints a line between.
	line(text string)
	close()
}

// newDisplay returns a bar on a terminal, and plain lines elsewhere. size is that
// of the input, 0 if unknown.
func newDisplay(w io.Writer, size int64) display {
	if file, ok := w.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		return newBar(w, size)
	}
	return &plain{w: w, size: size, every: plainEvery, last: time.Now()}
}

// plainEvery is how often there is a line where there is no terminal.
const plainEvery = 5 * time.Second

type plain struct {
	w     io.Writer
	size  int64
	every time.Duration
	last  time.Time
}

func (p *plain) show(documents, bytes int64) {
	if time.Since(p.last) < p.every {
		return
	}
	p.last = time.Now()
	if p.size > 0 {
		fmt.Fprintf(p.w, "%d documents done, %d%% of the file\n", documents, 100*bytes/p.size)
	} else {
		fmt.Fprintf(p.w, "%d documents done\n", documents)
	}
}

func (p *plain) line(text string) { fmt.Fprintln(p.w, text) }
func (p *plain) close()           {}

// A bar is a line of a terminal that is drawn again and again, by a goroutine of
// the library's.
type bar struct {
	mu sync.Mutex // for w
	w  io.Writer
	pb *pb.ProgressBar
}

func newBar(w io.Writer, size int64) *bar {
	b := &bar{w: w, pb: pb.New64(size)}
	template := pb.ProgressBarTemplate(`{{string . "documents"}} documents {{bar . }} {{percent . }} {{rtime . "%s left" "%s"}}`)
	if size == 0 {
		template = `{{string . "documents"}} documents {{cycle . "|" "/" "-" "\\" }} {{etime . }}`
	}
	// That it is a terminal has to be said before the writer, which is not a file.
	b.pb.Set(pb.Terminal, true).Set(pb.Color, false).SetTemplate(template).SetMaxWidth(100).SetWriter(b)
	if width, err := termutil.TerminalWidth(); err != nil || width == 0 {
		b.pb.SetWidth(80) // a terminal that does not say would get nothing to see
	}
	b.pb.Set("documents", "0").Start()
	return b
}

// Write is for the library.
func (b *bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.w.Write(p)
}

func (b *bar) show(documents, bytes int64) {
	if width, err := termutil.TerminalWidth(); err != nil || width == 0 {
		b.pb.SetWidth(80) // a terminal that does not say would get nothing to see
	}
	b.pb.Set("documents", fmt.Sprint(documents)).SetCurrent(bytes)
}

// line clears the bar's line, which comes again below.
func (b *bar) line(text string) { fmt.Fprintf(b, "\r\x1b[K%s\n", text) }

func (b *bar) close() { b.pb.Finish() }
