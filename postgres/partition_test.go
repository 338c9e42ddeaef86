package postgres_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A partition that is new is completed, and no more is swept than can have gone
// unseen: nothing of one that is empty, and the table's syncs for one that came
// with rows, or lost some before it had the trigger that sees it.
func TestNewPartitions(t *testing.T) {
	t.Parallel()
	const empty = `CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200)`
	for name, test := range map[string]struct {
		sql    []string
		sweeps string
	}{
		"empty": {[]string{empty}, "0"},
		"of partitions": {[]string{empty + ` PARTITION BY RANGE (id)`,
			`CREATE TABLE t2a PARTITION OF t2 FOR VALUES FROM (100) TO (150)`}, "0"},
		"attached":          {[]string{`CREATE TABLE t2 (LIKE t)`, `ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (100) TO (200)`}, "0"},
		"attached with row": {[]string{`CREATE TABLE t2 (LIKE t)`, `INSERT INTO t2 VALUES (101, 'unseen')`, `ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (100) TO (200)`}, "1"},
		"truncated":         {[]string{empty, `INSERT INTO t VALUES (101, 'seen')`, `TRUNCATE t2`}, "1"},
		"row below": {[]string{`CREATE TABLE t2 (LIKE t) PARTITION BY RANGE (id)`, `CREATE TABLE t2a PARTITION OF t2 FOR VALUES FROM (100) TO (150)`,
			`INSERT INTO t2 VALUES (101, 'unseen')`, `ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (100) TO (200)`}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec(`CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
				`CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)`)
			b.migrate()
			s := b.shape("s", table("t"), "v")
			b.install(s)
			b.exec(test.sql...)
			found, err := b.db.Inspect(b.ctx, []*store.Shape{s})
			b.ok(err)
			if len(found) == 0 {
				t.Error("a new partition without a truncate trigger is not reported")
			}
			for _, f := range found {
				if f.Severity != store.Note || !strings.HasPrefix(f.Message, "the partition is new: trigger upkeep_truncate_") {
					t.Errorf("a new partition is more than a note: %+v", f)
				}
			}
			b.install(s)
			b.intact(s)
			if n := b.query(`SELECT count(*) FROM upkeep.touch WHERE op = 'sweep'`); n[0] != test.sweeps {
				t.Errorf("%s sweeps are asked for, want %s", n[0], test.sweeps)
			}
		})
	}
}
