package upkeep_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/upkeep-sync/upkeep"
)

// A forecast says what would be sent, before anything is installed.
func ExampleEngine_Forecast() {
	x := newExample(people)
	defer x.close()
	engine := x.engine(customers(x.erp))
	forecast, err := engine.Forecast(context.Background(), upkeep.ForecastOptions{
		Each: func(c upkeep.RecordChange) error {
			fmt.Println(c.Action, c.ExternalID)
			return nil
		},
	})
	must(err)
	fmt.Println(forecast.Calls(), "calls")
	// Output:
	// create customer-1
	// create customer-2
	// 2 calls
}

// What changes while a sync is paused goes out afterwards.
func ExampleEngine_Pause() {
	x := newExample(people)
	defer x.close()
	engine := x.follow(customers(x.erp))
	ctx := context.Background()
	must(engine.Pause(ctx, upkeep.Pause{Sync: "customer", Reason: "month end"}))
	x.exec(`update users set name = 'Eve' where id = 1`)
	x.settle(engine)
	x.print("customer", "customer-1", "entityId")

	resumed, err := engine.Resume(ctx, upkeep.Pause{Sync: "customer"})
	must(err)
	x.settle(engine)
	fmt.Println("resumed:", resumed)
	x.print("customer", "customer-1", "entityId")
	// Output:
	// customer-1: entityId="Ada"
	// resumed: true
	// customer-1: entityId="Eve"
}

// What was done by hand, and by whom: a screen of your own says who is at it.
func ExampleEngine_Interventions() {
	x := newExample(people)
	defer x.close()
	engine, err := upkeep.New(upkeep.Config{Database: x.database, Syncs: []upkeep.AnySync{customers(x.erp)}, By: "ann"})
	must(err)
	ctx := context.Background()
	must(engine.Install(ctx))
	must(engine.Resync(ctx, upkeep.Resync{Sync: "customer", Key: "2", Force: true}))
	done, err := engine.Interventions(ctx, "customer", "", 10)
	must(err)
	for _, i := range done {
		fmt.Println(i.By, i.Did, i.Sync, i.Key, i.Detail)
	}
	// Output:
	// ann resync customer 2 force
}

// Over its limit, deletes wait until a person lets them go.
func ExampleEngine_AllowDeletes() {
	x := newExample(people)
	defer x.close()
	customer := customers(x.erp)
	customer.DeleteLimit = 1
	engine := x.follow(customer)
	x.exec(`delete from users`)
	x.settle(engine)
	ctx := context.Background()
	held, err := engine.HeldDeletes(ctx)
	must(err)
	for _, h := range held {
		fmt.Println(h.Held, "held of", h.Sync)
	}
	n, err := engine.AllowDeletes(ctx, "customer", 10)
	must(err)
	fmt.Println(n, "let go")
	x.settle(engine)
	x.print("customer", "customer-1")
	x.print("customer", "customer-2")
	// Output:
	// 1 held of customer
	// 1 let go
	// customer-1: no record
	// customer-2: no record
}

// A wait that ends before there is nothing left to do says what is left.
func ExampleEngine_Quiet() {
	x := newExample(people)
	defer x.close()
	engine := x.engine(customers(x.erp))
	ctx, cancel := context.WithCancel(context.Background())
	must(engine.Install(ctx))
	err := engine.Quiet(ctx, func(s *upkeep.Status) { cancel() }) // nobody called Run
	fmt.Println(errors.Is(err, context.Canceled))
	fmt.Println(err)
	// Output:
	// true
	// wait until nothing is left to do: context canceled; left is the backfill of customer, and no process is at work on it: call Engine.Run beside it
}
