package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource/changes"
)

const (
	testSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// testSender is a sender whose client does not wait before it tries again.
func testSender(t *testing.T, url string) *sender {
	keys, err := parseSecrets(testSecret)
	require.NoError(t, err)
	s := newSender(url, keys)
	s.client.RetryWaitMin, s.client.RetryWaitMax = time.Millisecond, time.Millisecond
	return s
}

// TestSendIsVerified: each attempt passes the library's check, and all have one id.
func TestSendIsVerified(t *testing.T) {
	t.Parallel()
	hook, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	other, err := standardwebhooks.NewWebhook(otherSecret)
	require.NoError(t, err)
	var ids, times []string
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, `{"a":1}`, string(payload))
		assert.NoError(t, hook.Verify(payload, r.Header))
		assert.Error(t, other.Verify(payload, r.Header))
		assert.Error(t, hook.Verify([]byte(`{"a":2}`), r.Header))
		assert.Equal(t, "application/cloudevents+json", r.Header.Get("Content-Type"))
		ids = append(ids, r.Header.Get("webhook-id"))
		times = append(times, r.Header.Get("webhook-timestamp"))
		if len(ids) < 2 {
			w.WriteHeader(500)
		}
	}))
	defer endpoint.Close()
	s := testSender(t, endpoint.URL)
	s.client.RetryWaitMin = 1001 * time.Millisecond // the timestamp is in seconds
	require.NoError(t, s.send(t.Context(), "id_1", []byte(`{"a":1}`)))
	assert.Equal(t, []string{"id_1", "id_1"}, ids)
	assert.Less(t, times[0], times[1], "each attempt is signed anew")
}

// TestSendStatus: how often the client tries, and what its error says to the consumer.
func TestSendStatus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status, requests int
		again            bool
	}{
		{200, 1, false}, {202, 1, false}, {204, 1, false},
		{400, 1, false}, {403, 1, false}, {409, 1, false}, {422, 1, false}, {501, 1, false},
		{500, 3, false}, {599, 3, false},
		{301, 1, false}, {302, 1, false}, {307, 1, false}, {308, 1, false},
		{401, 1, true}, {404, 1, true}, {410, 1, true},
		{429, 3, true}, {502, 3, true}, {503, 3, true}, {504, 3, true},
	} {
		var requests, elsewhere atomic.Int32
		endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/hook" {
				elsewhere.Add(1)
			}
			requests.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tc.status)
		}))
		err := testSender(t, endpoint.URL+"/hook?token=hidden").send(t.Context(), "id", []byte("{}"))
		endpoint.Close()
		assert.EqualValues(t, tc.requests, requests.Load(), tc.status)
		assert.Zero(t, elsewhere.Load(), "a redirect is not followed")
		if tc.status/100 == 2 {
			assert.NoError(t, err)
			continue
		}
		var refused refusal
		require.ErrorAs(t, err, &refused)
		assert.EqualValues(t, tc.status, refused)
		assert.Equal(t, tc.again, errors.Is(err, changes.ErrAgain), tc.status)
		assert.NotContains(t, err.Error(), "hidden")
	}
}

// TestSendUnreachable: without a connection the next webhook would not arrive either. If
// the connection ends without an answer, the webhook may be the cause.
func TestSendUnreachable(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	untrusted := httptest.NewTLSServer(nil)
	untrusted.Config.ErrorLog = discard()
	defer untrusted.Close()
	for name, url := range map[string]string{
		"refused": closed.URL, "certificate": untrusted.URL,
	} {
		err := testSender(t, url+"/?token=hidden").send(t.Context(), "id", []byte("{}"))
		assert.ErrorIs(t, err, changes.ErrAgain, name)
		assert.NotContains(t, err.Error(), "hidden")
	}
	var requests atomic.Int32
	cuts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer cuts.Close()
	assert.Equal(t, refusal(0), testSender(t, cuts.URL).send(t.Context(), "id", []byte("{}")))
	assert.EqualValues(t, 3, requests.Load())
}

// TestSendHostileEndpoint: one that does not answer, one whose answer does not end, one
// whose headers do not.
func TestSendHostileEndpoint(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	release := make(chan struct{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		case "/endless":
			for {
				n, err := w.Write(make([]byte, 32<<10))
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		}
	}))
	defer endpoint.Close()
	defer close(release)
	s := testSender(t, endpoint.URL+"/endless")
	assert.NoError(t, s.send(t.Context(), "id", []byte("{}")), "its status was 200")
	assert.Equal(t, refusal(0), testSender(t, endpoint.URL+"/headers").send(t.Context(), "id", []byte("{}")))
	s = testSender(t, endpoint.URL+"/silent")
	s.client.HTTPClient.Timeout = 200 * time.Millisecond // time to connect on a busy machine
	assert.Equal(t, refusal(0), s.send(t.Context(), "id", []byte("{}")))
}

// TestRetryAfter: the client waits as the endpoint asks, within bounds, and not beyond its
// context.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := newSender("http://127.0.0.1", nil)
	for header, want := range map[string]time.Duration{
		"": retryWait, "x": retryWait, "-1": retryWait, "0": retryWait, "2": 2 * time.Second,
		"3600": maxRetryAfter, "Fri, 31 Dec 1999 23:59:59 GMT": retryWait,
	} {
		resp := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {header}}}
		assert.Equal(t, want, s.client.Backoff(s.client.RetryWaitMin, s.client.RetryWaitMax, 0, resp), header)
	}
	resp := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"9223372036854775807"}}}
	wait := s.client.Backoff(s.client.RetryWaitMin, s.client.RetryWaitMax, 0, resp)
	assert.True(t, wait >= retryWait && wait <= maxRetryAfter, wait)

	asked := make(chan struct{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "200")
		w.WriteHeader(429)
		close(asked)
	}))
	defer endpoint.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	assert.ErrorIs(t, testSender(t, endpoint.URL).send(ctx, "id", []byte("{}")), context.Canceled)
}

func TestSecrets(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, " \n": 0, testSecret: 1, testSecret + "\n": 1, testSecret + " " + otherSecret: 2,
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": -1, "whsec_": -1, "whsec_c2hvcnQ=": -1, "whsec_hidden!": -1,
		"whsec_" + strings.Repeat("AAAA", 22): -1, testSecret + " hidden": -1,
	} {
		t.Setenv(secretVariable, text)
		keys, err := readSecrets("")
		if want < 0 {
			assert.ErrorContains(t, err, "WEBHOOK_SECRET: expected whsec_")
			assert.NotContains(t, err.Error(), "hidden")
		} else {
			assert.NoError(t, err)
			assert.Len(t, keys, want)
		}
		file := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		keys, err = readSecrets(file)
		assert.Equal(t, want < 1, err != nil, "an empty file is a mistake")
		assert.Len(t, keys, max(want, 0))
	}
	_, err := readSecrets(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	// While the secret is changed, the receiver knows the old one or the new one.
	both, err := parseSecrets(otherSecret + " " + testSecret)
	require.NoError(t, err)
	for _, known := range []string{testSecret, otherSecret, otherSecret + " " + testSecret} {
		keys, err := parseSecrets(known)
		require.NoError(t, err)
		endpoint := httptest.NewServer(&receiver{keys: keys, out: io.Discard, max: 1 << 20})
		assert.NoError(t, newSender(endpoint.URL, both).send(t.Context(), "id", []byte("{}")), known)
		endpoint.Close()
	}
}

// TestReceiver: what is not verified is refused, a repeat is taken and not printed.
func TestReceiver(t *testing.T) {
	keys, err := parseSecrets(testSecret)
	require.NoError(t, err)
	others, err := parseSecrets(otherSecret)
	require.NoError(t, err)
	var out buffer
	endpoint := httptest.NewServer(&receiver{keys: keys, out: &out, max: 100})
	defer endpoint.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			assert.NoError(t, newSender(endpoint.URL, keys).send(t.Context(), "id_1", []byte(`{"type":"com.example.customers.created"}`)))
		})
	}
	wg.Wait()
	assert.Equal(t, "webhook id_1: com.example.customers.created, signature verified\n", out.String())
	for _, tc := range []struct {
		keys    secrets
		payload string
		want    refusal
	}{
		{others, `{}`, 401}, {nil, `{}`, 401}, {keys, `{`, 400}, {keys, `{"type":7}`, 400},
		{keys, `{"a":"` + strings.Repeat("x", 100) + `"}`, 400},
	} {
		err := newSender(endpoint.URL, tc.keys).send(t.Context(), "id", []byte(tc.payload))
		var refused refusal
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, tc.want, refused)
	}
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
}
