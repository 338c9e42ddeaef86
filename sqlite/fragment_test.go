package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Another process changes the schema, such as one that installs its triggers,
// while conditions are read.
func TestFragmentWhileTheSchemaChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "shop.db")
	app := application(t, file)
	exec := func(q string) {
		if _, err := app.Exec(q); err != nil {
			t.Error(err)
		}
	}
	exec(`CREATE TABLE line_items (id INTEGER PRIMARY KEY, qty INTEGER)`)
	d := open(t, file, newClock())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				exec(`CREATE TABLE other (id INTEGER PRIMARY KEY)`)
				exec(`DROP TABLE other`)
			}
		}
	}()
	for range 500 {
		if _, err := d.Fragment(t.Context(), store.Table{Name: "line_items"}, "qty > 0", "id"); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	<-stopped
}
