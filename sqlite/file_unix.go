//go:build unix

package sqlite

import (
	"fmt"
	"os"
	"syscall"
)

// fileID is the number that the file has in its file system; empty if there is
// no telling.
func fileID(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint("file:", s.Ino)
	}
	return ""
}
