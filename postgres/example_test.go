package postgres_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/postgres"
)

// An engine on the application's own pool, and a registration in one of its
// transactions.
func ExampleNew() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := keepUp(ctx, os.Getenv("DATABASE_URL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func keepUp(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()

	type Order struct {
		State string `db:"state"`
	}
	engine, err := upkeep.New(upkeep.Config{
		Database: postgres.New(pool),
		Syncs: []upkeep.AnySync{upkeep.Sync[Order]{
			Name: "sales_order", Table: "orders", ByHand: true,
			To: &upkeep.Remote{Name: "erp", Connection: memory.New(memory.Config{}).Connect()}, Record: "salesOrder",
			Translate: func(o Order) (upkeep.Fields, error) { return upkeep.Fields{"state": o.State}, nil },
		}},
	})
	if err != nil {
		return err
	}
	if err := engine.Install(ctx); err != nil {
		return err
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, `update orders set state = 'approved' where id = $1`, 42); err != nil {
		return err
	}
	if err := engine.Register(ctx, tx, "sales_order", 42); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	return engine.Run(ctx) // until ctx ends
}
