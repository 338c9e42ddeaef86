package migration

import "fmt"

// Newest is an error if the registry is of a newer Upkeep than this one, which would
// go by columns and rules of before: there is the version of the registry's tables,
// known the newest that this program has. Err is that of reading them.
func Newest(there, known int64, err error) error {
	if err == nil && there > known {
		err = fmt.Errorf("a newer Upkeep made the registry what it is (its tables have version %d, this program knows %d): start the newer one; to go back to this one, run upkeep uninstall with the newer one first, and this one makes the registry anew", there, known)
	}
	return err
}
