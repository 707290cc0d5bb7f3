package scenarios_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"
)

// TestManyChangesOfOthers: how much others change is not to be seen in the number of our
// pages, in their sizes, in what they say of further ones, nor in a stream. They change
// more than a store looks at for one page.
func TestManyChangesOfOthers(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			alone, shared := store.open(t), store.open(t)
			assert.Equal(t, ourPages(t, alone, 0), ourPages(t, shared, 11_000))
		})
	}
}

// ourPages makes some changes and returns what can be read of them, while others make
// many in between.
func ourPages(t *testing.T, store storage.Store, others int) (told []string) {
	c := newCollection(t, people, store, &resource.Options{Log: true})
	act := func() {
		for n := 0; n < others; n += 1000 {
			var documents [][]byte
			for k := range 1000 {
				documents = append(documents, fmt.Appendf(nil, `{"id":"o%04d","note":"%d"}`, k, time.Now().UnixNano()))
			}
			items, err := c.CreateBatch(ctx, populace[1+n/1000%2], documents, nil)
			require.NoError(t, err)
			require.Equal(t, len(documents), countOf(items, resource.Created)+countOf(items, resource.Updated))
		}
	}
	create := func(id string) {
		_, err := c.Create(ctx, everybody, []byte(`{"id":"`+id+`"}`), nil)
		require.NoError(t, err)
	}
	pages := func(read func(cursor string) (*resource.ChangePage, error)) {
		for cursor, more := "", true; more; {
			page, err := read(cursor)
			require.NoError(t, err)
			line := fmt.Sprintf("more %t, cursor of %d", page.More, len(page.Next))
			for _, change := range page.Changes {
				line += fmt.Sprintf(", %s %s, cursor of %d", change.Outcome, change.Key.ExternalID, len(change.Cursor))
			}
			told = append(told, line)
			cursor, more = page.Next, page.More
		}
	}
	create("a")
	act()
	create("b")
	_, err := c.Patch(ctx, everybody, "a", []byte(`{"note":"1"}`), nil)
	require.NoError(t, err)
	for _, limit := range []int{1, 2, 3, 4} {
		pages(func(cursor string) (*resource.ChangePage, error) {
			return c.Changes(ctx, everybody, &resource.ChangeOptions{Cursor: cursor, Limit: limit})
		})
		pages(func(cursor string) (*resource.ChangePage, error) {
			return c.History(ctx, everybody, "a", &resource.ChangeOptions{Cursor: cursor, Limit: limit})
		})
	}

	// A stream from the start, and on.
	api, err := httpapi.NewAPI(hooksOf(everybody), nil, c)
	require.NoError(t, err)
	server := httptest.NewServer(api)
	defer server.Close()
	defer api.EndStreams()
	for _, query := range []string{"&after=", ""} {
		if query != "" {
			page, err := c.Changes(ctx, everybody, &resource.ChangeOptions{Limit: 1})
			require.NoError(t, err)
			query += page.Next
		}
		reading, end := context.WithTimeout(ctx, time.Minute)
		req, err := http.NewRequestWithContext(reading, "GET", server.URL+"/api/changes?schema=people"+query, nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "text/event-stream")
		res, err := server.Client().Do(req)
		require.NoError(t, err)
		if query == "" {
			act()
		}
		create("last" + query[:min(1, len(query))])
		var event []string
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id", "retry":
				value = fmt.Sprint(len(value))
			case "data":
				value = member(value, "resourceExternalId")
			case "":
				// An id without data comes every few seconds, whatever others do.
				if len(event) > 1 {
					told = append(told, event...)
				}
				event = nil
				continue
			}
			event = append(event, name+" "+value)
			if strings.HasPrefix(value, "last") {
				break
			}
		}
		told = append(told, event...)
		end()
		res.Body.Close()
	}
	return told
}
