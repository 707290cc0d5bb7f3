package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// every returns the texts of an error and of all that it wraps.
func every(err error) (texts []string) {
	encoded, _ := json.Marshal(err)
	texts = append(texts, err.Error(), fmt.Sprintf("%+v %#v %s", err, err, encoded))
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			texts = append(texts, every(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			texts = append(texts, every(inner)...)
		}
	}
	return texts
}

// TestConnectErrors: the error says which host, port and database could not be
// reached and why, and never the password, in no spelling.
func TestConnectErrors(t *testing.T) {
	server, err := pgx.ParseConfig(pgtest.DSN(t))
	require.NoError(t, err)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, refused, err := net.SplitHostPort(closed.Addr().String())
	require.NoError(t, err)
	const password = "Pa@55/w%?#&=' w"
	port := fmt.Sprint(server.Port)
	dsn := func(host, port, password, database, parameters string) string {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(server.User, password), Host: net.JoinHostPort(host, port), Path: "/" + database, RawQuery: parameters}
		return strings.Replace(u.String(), "the@re", "the%40re", 1) // package url leaves it
	}
	hint := []string{"%40"}
	for _, tt := range []struct {
		name, dsn string
		want      []string
	}{
		{"unknown host", dsn("nowhere.invalid", "5433", password, "db", ""), []string{"nowhere.invalid:5433", `"db"`, "lookup"}},
		{"refused", dsn("127.0.0.1", refused, password, "db", ""), []string{"127.0.0.1:" + refused, `"db"`, "connection refused"}},
		{"several hosts", "postgres://u:secret@127.0.0.1:" + refused + ",nowhere.invalid:5433/db", []string{"127.0.0.1:" + refused, "nowhere.invalid:5433", "refused"}},
		{"socket", "host=/nowhere port=5433 dbname=db user=u password='" + strings.ReplaceAll(password, "'", `\'`) + "'", []string{"/nowhere", "5433", `"db"`, "no such file"}},
		{"no TLS", dsn(server.Host, port, password, "db", "sslmode=require"), []string{server.Host + ":" + port, `"db"`, "refused TLS"}},
		{"wrong password", dsn(server.Host, port, password, "postgres", "sslmode=disable"), []string{server.Host + ":" + port, `"postgres"`, "password authentication failed", "28P01"}},
		{"unknown database", dsn(server.Host, port, server.Password, "nöt/the@re", "sslmode=disable"), []string{server.Host + ":" + port, `"nöt/the@re"`, "does not exist", "3D000"}},
		{"password with @", "postgres://u:Pa@55w@" + server.Host + ":" + port + "/db", hint},
		{"password with @ and /", "postgres://u:Pa@55/w@" + server.Host + ":" + port + "/db", hint},
		{"password with @ and ,", "postgres://u:Pa@55,55w@" + server.Host + ":" + port + "/db", hint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := pgxpool.ParseConfig(tt.dsn)
			require.NoError(t, err)
			pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
			require.NoError(t, err)
			defer pool.Close()
			_, err = postgres.New(context.Background(), pool, nil)
			for _, err := range []error{err, postgres.Migrate(context.Background(), pool, nil)} {
				require.ErrorIs(t, err, storage.ErrUnavailable)
				for _, want := range tt.want {
					require.ErrorContains(t, err, want)
				}
				require.NotContains(t, err.Error(), "\n")
				for _, text := range every(err) {
					for _, secret := range []string{cfg.ConnConfig.Password, url.QueryEscape(cfg.ConnConfig.Password), "55w", "55/w", "55,55", "Pa@", "Pa%40", "@55", "secret"} {
						require.NotContains(t, text, secret)
					}
				}
			}
		})
	}
}

// TestConnectionLostLater: a running store names the same as New.
func TestConnectionLostLater(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{})
	store, _ := newStoreAt(t, server.DSN(), postgres.Options{}, nil)
	server.Kill(t)
	var err error
	for range 10 { // the first ones may find a connection that is open
		_, err = store.Get(context.Background(), testKey("key"))
		require.ErrorIs(t, err, storage.ErrUnavailable)
		if strings.Contains(err.Error(), "refused") {
			break
		}
	}
	require.ErrorContains(t, err, `"postgres" at `+server.Addr())
	require.ErrorContains(t, err, "connection refused")
}

// TestPoolInUse: the error of a call that waited for a connection in vain says that
// the pool has no other.
func TestPoolInUse(t *testing.T) {
	store, pool := newStore(t, postgres.Options{ReadTimeout: 1e8}, func(cfg *pgxpool.Config) { cfg.MaxConns = 2 })
	for range 2 {
		conn, err := pool.Acquire(context.Background())
		require.NoError(t, err)
		defer conn.Release()
	}
	_, err := store.Get(context.Background(), testKey("key"))
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "2 of the pool's 2 in use")
	require.False(t, errors.Is(err, context.DeadlineExceeded))
}
