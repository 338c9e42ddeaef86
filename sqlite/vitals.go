package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// longLog is how many bytes of the write-ahead log are too many: a reader
// that does not end keeps it from being taken over into the file.
const longLog = 256 << 20

// Vitals examines the file. SQLite does not say which transactions are open.
// It implements [store.Registry].
func (d *DB) Vitals(ctx context.Context, _ time.Duration) (*store.Vitals, error) {
	v := &store.Vitals{Now: time.UnixMicro(d.now()).UTC()}
	err := d.view(ctx, "examine the touch log", func(tx *sql.Tx) error {
		var err error
		if v.OldestTouch, err = d.oldestTouch(ctx, tx); err != nil {
			return err
		}
		var rows int64
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM upkeep_touch`).Scan(&rows); err != nil {
			return err
		}
		v.LogBytes = rows * touchBytes
		return nil
	})
	if err != nil {
		return nil, err
	}
	size, err := d.logSize()
	if err != nil {
		return nil, fmt.Errorf("examine the write-ahead log: %w", err)
	}
	if size > longLog {
		v.Findings = append(v.Findings, store.Finding{Severity: store.Warning, Subject: d.name,
			Message: fmt.Sprintf("its write-ahead log has %d MB: some reader stays in an old transaction", size>>20),
			Fix:     "end long reads of the application, then: PRAGMA wal_checkpoint(TRUNCATE)"})
	}
	return v, nil
}

// touchBytes is what a row of the touch log takes, about.
const touchBytes = 200

// logSize is the size of the write-ahead log beside the file.
func (d *DB) logSize() (int64, error) {
	info, err := os.Stat(strings.TrimPrefix(d.name, "sqlite:") + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
