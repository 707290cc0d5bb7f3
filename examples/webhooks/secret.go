package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// secretVariable has the secret in the environment. A flag would show it to each process of
// the machine.
const secretVariable = "WEBHOOK_SECRET"

// secrets are those that sender and receiver share: one, and two while they change it.
type secrets []*standardwebhooks.Webhook

// readSecrets reads them from the file, or without one from the environment. It returns
// none if there is neither.
func readSecrets(file string) (secrets, error) {
	if file == "" {
		keys, err := parseSecrets(os.Getenv(secretVariable))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", secretVariable, err)
		}
		return keys, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-secret-file: %w", err)
	}
	keys, err := parseSecrets(string(text))
	if err == nil && keys == nil {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("-secret-file: %w", err)
	}
	return keys, nil
}

// parseSecrets reads secrets in the notation of Standard Webhooks, separated by white space.
// No error has anything of them. The library takes any key, the empty one too.
func parseSecrets(text string) (secrets, error) {
	var keys secrets
	for word := range strings.FieldsSeq(text) {
		encoded, ok := strings.CutPrefix(word, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("expected whsec_ and then 24 to 64 bytes in base64")
		}
		hook, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, hook)
	}
	return keys, nil
}

// randomSecret serves a program that is its own receiver.
func randomSecret() (secrets, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	hook, err := standardwebhooks.NewWebhookRaw(key)
	return secrets{hook}, err
}

// sign returns one signature for each secret: the receiver needs to know one of them.
func (s secrets) sign(id string, at time.Time, payload []byte) (string, error) {
	signatures := make([]string, len(s))
	for i, hook := range s {
		var err error
		if signatures[i], err = hook.Sign(id, at, payload); err != nil {
			return "", err
		}
	}
	return strings.Join(signatures, " "), nil
}

// verify reports whether the payload was signed with one of the secrets, at most 5 minutes
// ago.
func (s secrets) verify(payload []byte, header http.Header) error {
	err := errors.New("no secret")
	for _, hook := range s {
		if err = hook.Verify(payload, header); err == nil {
			return nil
		}
	}
	return err
}
