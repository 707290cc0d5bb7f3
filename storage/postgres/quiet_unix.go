//go:build unix

package postgres

import (
	"crypto/tls"
	"net"
	"syscall"
)

// quiet reports whether an idle connection is open and the server has sent nothing
// on it, by a look at the socket that takes about a microsecond. Where there is no
// socket to look at, it is true.
func quiet(conn net.Conn) bool {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	// Not by raw.Read, which would wait for a read of the driver that is under way:
	// it has one after a write that took it long.
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, peeked = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK) // sockets of Go do not block
	})
	return err == nil && peeked == syscall.EAGAIN
}
