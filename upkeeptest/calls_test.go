package upkeeptest_test

import (
	"context"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/upkeeptest"
)

// What the engine does for a program it does in a test too, also where it has
// to wait for the engine that rests between the calls.
func TestCallsOfTheEngine(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *testing.T, *upkeeptest.DB) error{
		"Verify": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			v, err := db.Engine.Verify(ctx, "", nil)
			if err == nil && (v.Records != 3 || len(v.Differences) != 0) {
				t.Errorf("%+v", v)
			}
			return err
		},
		"Verify of keys": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			v, err := db.Engine.Verify(ctx, "customer", nil, "2")
			if err == nil && (v.Records != 1 || len(v.Differences) != 0) {
				t.Errorf("%+v", v)
			}
			return err
		},
		"Verify and Fix": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			r := db.Record("customer", 1)
			remote := db.Remote.Connect()
			id, err := remote.Find(ctx, "customer", r.ExternalID)
			if err != nil {
				return err
			}
			if err := remote.Update(ctx, id, connector.Record{Type: "customer", ExternalID: r.ExternalID, Fields: connector.Fields{"entityId": []byte(`"x"`)}}); err != nil {
				return err
			}
			v, err := db.Engine.Verify(ctx, "", nil)
			if err != nil || len(v.Differences) != 1 {
				t.Fatalf("%+v, %v", v, err)
			}
			n, err := db.Engine.Fix(ctx, v.Differences)
			if err == nil && n != 1 {
				t.Errorf("%d groups", n)
			}
			db.Record("customer", 1).Want(`{"entityId": "Ada"}`)
			return err
		},
		"Verify of a remote that is busy": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			db.Remote.Fail(memory.Fault{On: memory.Read, Err: &connector.Error{Kind: connector.RateLimited, Message: "slowly", RetryAfter: time.Second}})
			_, err := db.Engine.Verify(ctx, "", nil)
			return err
		},
		"Audit": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			missed, err := db.Engine.Audit(ctx, "", nil)
			if len(missed) != 0 {
				t.Error(missed)
			}
			return err
		},
		"Audit of a change that nobody saw": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			var trigger, ddl string
			if err := db.SQL.QueryRow(`select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'users' and sql like '%after update%'`).Scan(&trigger, &ddl); err != nil {
				return err
			}
			db.Exec(`drop trigger "` + trigger + `"; update users set name = 'Bobby' where id = 2; ` + ddl)
			missed, err := db.Engine.Audit(ctx, "customer", nil)
			if len(missed) != 1 || missed[0].Key != "2" {
				t.Error(missed)
			}
			db.Record("customer", 2).Want(`{"entityId": "Bobby"}`)
			return err
		},
		"Doctor": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			findings, err := db.Engine.Doctor(ctx)
			for _, f := range findings {
				t.Log(f)
			}
			return err
		},
		"Quiet": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			db.Exec(`update users set name = 'Ada L.' where id = 1`)
			return db.Engine.Quiet(ctx, nil)
		},
		"Resync": func(ctx context.Context, t *testing.T, db *upkeeptest.DB) error {
			if err := db.Engine.Resync(ctx, upkeep.Resync{Sync: "customer", Force: true}); err != nil {
				return err
			}
			return db.Engine.Quiet(ctx, nil)
		},
	} {
		for _, before := range []string{"", " after a change"} {
			t.Run(name+before, func(t *testing.T) {
				t.Parallel()
				db := filled(t)
				db.Record("sales_order", 42).Want(`{"item": [{"rate": 9.90, "item": "A"}], "entity": "customer-1"}`)
				if before != "" {
					db.Exec(`update users set phone = '1'; update orders set state = 'paid' where id = 42`)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if err := call(ctx, t, db); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
