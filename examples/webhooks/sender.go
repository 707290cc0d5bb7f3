package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/resourcekit/resource/changes"
)

const (
	connectTimeout = 5 * time.Second
	requestTimeout = 15 * time.Second // connection, answer and its body
	retries        = 2                // by the client, while the consumer waits
	retryWait      = 500 * time.Millisecond
	maxRetryAfter  = 5 * time.Minute // no endpoint may stop the consumer for longer
	maxAnswer      = 4 << 10         // bytes of an answer that are read
)

// A sender POSTs webhooks to one endpoint.
type sender struct {
	url    string
	client *retryablehttp.Client
}

func newSender(url string, keys secrets) *sender {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	transport.TLSHandshakeTimeout = connectTimeout
	transport.MaxResponseHeaderBytes = 16 << 10
	client := retryablehttp.NewClient()
	client.HTTPClient = &http.Client{
		Transport: &signing{transport, keys},
		Timeout:   requestTimeout,
		// A redirect is a failure: what is signed for one address is for no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client.Logger = nil // it would log the URL, which may have a token
	client.RetryMax, client.RetryWaitMin, client.RetryWaitMax = retries, retryWait, 10*retryWait
	client.Backoff = func(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
		return min(max(least, retryablehttp.DefaultBackoff(least, most, attempt, resp)), maxRetryAfter)
	}
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler // the last answer, not a text with the URL
	return &sender{url, client}
}

// A refusal is why the endpoint did not take a webhook: the status of its answer, or 0 if
// it did not answer a request that it had. Nothing of the answer is in it: the endpoint may
// repeat what it was sent.
type refusal int

func (r refusal) Error() string {
	if r == 0 {
		return "the endpoint did not answer"
	}
	return fmt.Sprintf("the endpoint answered %d", int(r))
}

// send POSTs one webhook, several times if need be. The error is that of the context, or a
// refusal, or one that matches changes.ErrAgain if it would be the same for any webhook.
func (s *sender) send(ctx context.Context, id string, payload []byte) error {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, s.url, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	req.Header.Set("User-Agent", "resourcekit-webhooks")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	resp, err := s.client.Do(req)
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // so that the connection can be used again
		resp.Body.Close()
	}
	var unreachable *unreachableError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &unreachable):
		return fmt.Errorf("%w: %w", changes.ErrAgain, unreachable.cause)
	case err != nil:
		return refusal(0)
	case resp.StatusCode/100 == 2:
		return nil
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusGone, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: %w", changes.ErrAgain, refusal(resp.StatusCode))
	}
	return refusal(resp.StatusCode)
}

// signing signs each attempt anew: receivers refuse a timestamp that is older than 5 minutes.
type signing struct {
	*http.Transport
	keys secrets
}

// unreachableError says that there was no connection, so that nothing was sent.
type unreachableError struct{ cause error }

func (e *unreachableError) Error() string { return e.cause.Error() }

func (s *signing) RoundTrip(r *http.Request) (*http.Response, error) {
	payload, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	connected := false
	signed := r.Clone(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	}))
	signed.Body = io.NopCloser(bytes.NewReader(payload))
	now := time.Now()
	signature, err := s.keys.sign(r.Header.Get(standardwebhooks.HeaderWebhookID), now, payload)
	if err != nil {
		return nil, err
	}
	signed.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	signed.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := s.Transport.RoundTrip(signed)
	if err != nil && !connected {
		err = &unreachableError{err}
	}
	return resp, err
}
