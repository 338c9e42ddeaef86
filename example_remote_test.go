package upkeep_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/upkeep-sync/upkeep"
)

// A connection of any connector, in a program: a row is inserted, changed and
// deleted, and its record with it.
func ExampleRemote() {
	x := newExample(`create table people (id integer primary key, name text not null, phone text)`)
	defer x.close()
	app, database, connection := x.app, x.database, x.erp.Connection

	program := func(ctx context.Context, seen func()) error {
		type Person struct {
			ID    int64   `db:"id"`
			Name  string  `db:"name"`
			Phone *string `db:"phone"`
		}
		rolodex := &upkeep.Remote{Name: "rolodex", Connection: connection}
		engine, err := upkeep.New(upkeep.Config{
			Database: database, // sqlite.Open("book.db", sqlite.Config{})
			Logger:   slog.New(slog.DiscardHandler),
			Syncs: []upkeep.AnySync{upkeep.Sync[Person]{
				Name: "person", Table: "people", To: rolodex, Record: "person",
				Translate: func(p Person) (upkeep.Fields, error) {
					return upkeep.Fields{"name": p.Name, "phone": p.Phone}, nil
				},
			}},
		})
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- engine.Run(ctx) }()
		for _, change := range []string{
			`insert into people values (1, 'Ada', '555-0100')`,
			`update people set phone = null`,
			`delete from people`,
		} {
			if _, err := app.ExecContext(ctx, change); err != nil {
				return err
			}
			if err := engine.Quiet(ctx, nil); err != nil { // waits until nothing is left to do
				return err
			}
			about, err := engine.Explain(ctx, "person", "1")
			if err != nil {
				return err
			}
			last := about.Attempts[0]
			fmt.Println(last.Action, last.Fields, last.Outcome)
			seen()
		}
		stop()
		return <-ended
	}
	must(program(context.Background(), func() { x.print("person", "person-1", "name", "phone") }))
	// Output:
	// create [name phone] ok
	// person-1: name="Ada" phone="555-0100"
	// update [phone] ok
	// person-1: name="Ada" phone=
	// delete [] ok
	// person-1: no record
}
