package upkeep_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// example is what every example has: an application's database on SQLite, and
// a remote that lives in memory.
type example struct {
	folder   string
	app      *sql.DB // the application's own connection
	database *sqlite.DB
	account  *memory.Remote
	erp      *upkeep.Remote
}

// newExample makes the database with its tables and rows.
func newExample(schema string) *example {
	folder, err := os.MkdirTemp("", "upkeep-example")
	must(err)
	x := &example{folder: folder, account: memory.New(memory.Config{})}
	x.erp = &upkeep.Remote{Name: "erp", Connection: x.account.Connect()}
	path := filepath.Join(folder, "shop.db")
	x.app, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	must(err)
	x.exec(schema)
	x.database, err = sqlite.Open(path, sqlite.Config{})
	must(err)
	return x
}

func (x *example) close() {
	must(x.database.Close())
	must(x.app.Close())
	must(os.RemoveAll(x.folder))
}

// exec is the application at work.
func (x *example) exec(query string) {
	_, err := x.app.Exec(query)
	must(err)
}

// engine makes an engine.
func (x *example) engine(syncs ...upkeep.AnySync) *upkeep.Engine {
	engine, err := upkeep.New(upkeep.Config{Database: x.database, Syncs: syncs})
	must(err)
	return engine
}

// settle runs an engine until nothing is left to do. A program just runs it.
func (x *example) settle(engine *upkeep.Engine) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	must(engine.Quiet(ctx, nil))
	stop()
	must(<-ended)
}

// follow makes an engine and settles it.
func (x *example) follow(syncs ...upkeep.AnySync) *upkeep.Engine {
	engine := x.engine(syncs...)
	x.settle(engine)
	return engine
}

// print prints the fields of the record with this external id.
func (x *example) print(recordType, externalID string, fields ...string) {
	fmt.Print(externalID + ":")
	if _, there := x.account.Record(recordType, externalID); !there {
		fmt.Println(" no record")
		return
	}
	for _, f := range fields {
		fmt.Printf(" %s=%s", f, x.account.Text(recordType, externalID, f))
	}
	fmt.Println()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
