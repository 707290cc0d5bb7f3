package postgres

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQuiet: also during a read, as the driver does after a slow write.
func TestQuiet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	server, err := l.Accept()
	require.NoError(t, err)
	require.True(t, quiet(conn))

	read := make(chan error)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	for range 100 {
		require.True(t, quiet(conn))
	}
	_, err = server.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, <-read)
	require.True(t, quiet(conn))

	require.NoError(t, server.Close())
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err, "waits until the end has arrived")
	require.False(t, quiet(conn))
}
