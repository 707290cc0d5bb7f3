//go:build unix

package sqlite

import (
	"os"
	"syscall"
)

// links returns how many names the file has.
func links(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return uint64(info.Sys().(*syscall.Stat_t).Nlink), nil
}
