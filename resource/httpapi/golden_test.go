package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/*.golden")

// TestGolden plays each testdata/*.golden against a fresh service on a real
// port. A file is exchanges with comments between them:
//
//	# what this shows
//	@ directive
//	> POST /api/resources/customers
//	> Authorization: Bearer acme
//	>
//	> {"data":{...}}
//	< 200 OK
//	< Content-Length: 911
//	<
//	< {
//	<   "success": true,
//
// The lines with > are sent as they are, with Host, Content-Length and
// Connection added. The lines with < are the whole answer but for Date and
// Connection, and are what -update rewrites. Entity tags are numbered as they come. Bodies of answers have no blanks
// on the wire and are indented for reading. Of answers with changes the cursors and
// revisions are numbered, too: cursor-1 in a request is that one. Nothing else is changed.
//
// Directives are a row of the tables handlerDirectives, which count for the
// whole file, and exchangeDirectives, which count for the next exchange.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".golden"), func(t *testing.T) {
			t.Parallel()
			before, err := os.ReadFile(file)
			require.NoError(t, err)
			after := play(t, string(before))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(after), 0o644))
				return
			}
			assert.Equal(t, string(before), after)
		})
	}
}

var handlerDirectives = map[string]func(*httpapi.Options){
	"allow-scans":          func(o *httpapi.Options) { o.AllowScans = true },
	"max-body 64":          func(o *httpapi.Options) { o.MaxBody = 64 },
	"stream-time 2s":       func(o *httpapi.Options) { o.StreamTime = 2 * time.Second },
	"unredacted":           func(o *httpapi.Options) { o.Unredacted = true },
	"omit-deprecated":      func(o *httpapi.Options) { o.Shape = resource.ShapeOptions{OmitDeprecated: true} },
	"stall-timeout 50ms":   func(o *httpapi.Options) { o.StallTimeout = 50 * time.Millisecond },
	"require-complete":     func(o *httpapi.Options) { o.RequireComplete = true },
	"require-precondition": func(o *httpapi.Options) { o.RequirePrecondition = true },
}

var exchangeDirectives = map[string]func(*faults){
	"store is unavailable":       func(f *faults) { f.set(storage.ErrUnavailable, storage.ErrUnavailable) },
	"store has lost changes":     func(f *faults) { f.set(storage.ErrExpired, nil) },
	"store has no log":           func(f *faults) { f.set(storage.ErrUnsupported, nil) },
	"store is closed":            func(f *faults) { f.set(storage.ErrClosed, storage.ErrClosed) },
	"store always conflicts":     func(f *faults) { f.set(nil, storage.ErrConflict) },
	"store times out":            func(f *faults) { f.set(context.DeadlineExceeded, context.DeadlineExceeded) },
	"store loses its connection": func(f *faults) { f.set(nil, storage.ErrUnknownOutcome) },
	"store refuses the size":     func(f *faults) { f.set(nil, storage.ErrTooLarge) },
	"store is broken": func(f *faults) {
		err := errors.New("dial tcp db.internal:5432: password of user reach is wrong")
		f.set(err, err)
	},
}

// play sends the requests of a golden file and returns the file with the answers
// that came.
func play(t *testing.T, file string) string {
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	var opts httpapi.Options
	for _, line := range lines {
		if directive, ok := strings.CutPrefix(line, "@ "); ok {
			set, ok := handlerDirectives[directive]
			if ok {
				set(&opts)
			} else {
				require.Contains(t, exchangeDirectives, directive)
			}
		}
	}
	s := newService(t, &opts).serve(t)
	var tags tagNumbers
	cursors, revisions := numbers{name: "cursor-"}, numbers{name: `evision":"`}
	var out strings.Builder
	for len(lines) > 0 {
		switch line := lines[0]; {
		case strings.HasPrefix(line, "<"):
			lines = lines[1:]
		case strings.HasPrefix(line, ">"):
			n := slices.IndexFunc(lines, func(line string) bool { return !strings.HasPrefix(line, ">") })
			if n < 0 {
				n = len(lines)
			}
			out.WriteString(strings.Join(lines[:n], "\n") + "\n")
			m := parseMessage(t, lines[:n])
			for i, line := range m.header {
				if strings.HasPrefix(line, "If-") {
					m.header[i] = tags.real(line)
				}
			}
			m.target = cursors.real(m.target)
			for i := range m.header {
				m.header[i] = cursors.real(m.header[i])
			}
			a := s.exchange(t, m)
			if body := sealedCursor.ReplaceAllStringFunc(a.body, cursors.number); body != a.body || strings.Contains(body, "changes listed") {
				a.body = revisionMember.ReplaceAllStringFunc(body, revisions.number)
				a.body = regexp.MustCompile(`(?m)^retry: [1-4]\d\d\d$`).ReplaceAllString(a.body, "retry: 1234")
				if a.header.Get("Content-Length") != "" {
					a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
				}
			}
			if tag := a.header.Get("ETag"); tag != "" {
				a.header.Set("ETag", tags.number(tag))
			}
			out.WriteString(a.golden())
			lines = lines[n:]
			s.faults.set(nil, nil)
		default:
			if set := exchangeDirectives[strings.TrimPrefix(line, "@ ")]; set != nil {
				set(s.faults)
			}
			require.True(t, line == "" || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "@ "), "what is %q?", line)
			out.WriteString(line + "\n")
			lines = lines[1:]
		}
	}
	return out.String()
}

// tagNumbers are the entity tags of a service, which are random. In a golden file the
// first that comes is "1", the next new one "2".
type tagNumbers []string

func (t *tagNumbers) number(tag string) string {
	i := slices.Index(*t, tag)
	if i < 0 {
		i = len(*t)
		*t = append(*t, tag)
	}
	return strconv.Quote(strconv.Itoa(i + 1))
}

// real returns the line with the tags of the service in place of their numbers.
func (t tagNumbers) real(line string) string {
	return tagNumber.ReplaceAllStringFunc(line, func(number string) string {
		if n, err := strconv.Atoi(strings.Trim(number, `"`)); err == nil && 0 < n && n <= len(t) {
			return t[n-1]
		}
		return number
	})
}

// numbers are random texts, each with a number in its place.
type numbers struct {
	name  string
	texts []string
}

var (
	sealedCursor   = regexp.MustCompile(`[A-Za-z0-9_-]{76}`)
	revisionMember = regexp.MustCompile(`evision":"\d+`)
)

func (n *numbers) number(text string) string {
	if !slices.Contains(n.texts, text) {
		n.texts = append(n.texts, text)
	}
	return n.name + strconv.Itoa(slices.Index(n.texts, text)+1)
}

// real returns a line with the texts in place of their names.
func (n *numbers) real(line string) string {
	return regexp.MustCompile(n.name+`\d+`).ReplaceAllStringFunc(line, func(name string) string {
		i, err := strconv.Atoi(strings.TrimPrefix(name, n.name))
		if err != nil || i > len(n.texts) {
			return name
		}
		return n.texts[i-1]
	})
}

var tagNumber = regexp.MustCompile(`"[1-9][0-9]*"`)

func parseMessage(t *testing.T, lines []string) message {
	t.Helper()
	var m message
	for i, line := range lines {
		line = strings.TrimPrefix(strings.TrimPrefix(line, ">"), " ")
		switch {
		case i == 0:
			var ok bool
			m.method, m.target, ok = strings.Cut(line, " ")
			require.True(t, ok, "%q is no request line", line)
		case line == "":
			body := make([]string, 0, len(lines))
			for _, line := range lines[i+1:] {
				body = append(body, strings.TrimPrefix(strings.TrimPrefix(line, ">"), " "))
			}
			m.body = strings.Join(body, "\n")
			return m
		default:
			m.header = append(m.header, line)
		}
	}
	return m
}

// golden returns the lines of an answer in a golden file.
func (a answer) golden() string {
	var b strings.Builder
	fmt.Fprintf(&b, "< %d %s\n", a.status, http.StatusText(a.status))
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		if name != "Date" && name != "Connection" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range a.header[name] {
			fmt.Fprintf(&b, "< %s: %s\n", name, value)
		}
	}
	if a.body == "" {
		return b.String()
	}
	b.WriteString("<\n")
	var indented bytes.Buffer
	if a.header.Get("Content-Type") == "text/event-stream" {
		indented.WriteString(strings.TrimSuffix(a.body, "\n"))
	} else if err := json.Indent(&indented, []byte(a.body), "", "  "); err != nil {
		indented.Reset()
		indented.WriteString(strconv.Quote(a.body))
	}
	for line := range strings.SplitSeq(indented.String(), "\n") {
		b.WriteString(strings.TrimSuffix("< "+line, " ") + "\n")
	}
	return b.String()
}

// TestEveryStatusHasAGolden: no status of the package doc is without an exchange.
func TestEveryStatusHasAGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(text)
	}
	for _, status := range documented {
		assert.Contains(t, all.String(), fmt.Sprintf("\n< %d %s\n", status, http.StatusText(status)))
	}
}

// TestForeignTenantIsUnknownTenant: the two files differ in the names that are
// asked for and in nothing that is answered.
func TestForeignTenantIsUnknownTenant(t *testing.T) {
	answers := func(name string) string {
		file, err := os.ReadFile("testdata/" + name + ".golden")
		require.NoError(t, err)
		var b strings.Builder
		for line := range strings.Lines(string(file)) {
			if strings.HasPrefix(line, "<") {
				b.WriteString(line)
			}
		}
		return b.String()
	}
	assert.Equal(t, answers("unknown-tenant"), answers("foreign-tenant"))
}
