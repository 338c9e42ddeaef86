package storetest

import (
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func vitalTests() []test {
	return []test{{"the log's oldest row", testVitals}}
}

func testVitals(e *env) {
	e.shop(e.orderShape())
	v, err := e.Store.Vitals(e.ctx, time.Hour)
	e.ok(err)
	e.equal("oldest touch of an empty log", v.OldestTouch, time.Duration(0))
	e.equal("findings of a sound database", fmtAny(v.Findings), "[]")
	if v.Now.IsZero() || v.Now.Location() != time.UTC {
		e.t.Errorf("the server's clock is %v", v.Now)
	}
	e.ok(e.Store.Append(e.ctx, nil, []store.Touch{{ID: id("sales_order/1")}}))
	e.Advance(time.Minute)
	v, err = e.Store.Vitals(e.ctx, time.Hour)
	e.ok(err)
	if v.OldestTouch < 50*time.Second || v.OldestTouch > 5*time.Minute || v.LogBytes <= 0 {
		e.t.Errorf("a touch of a minute ago is %v old, the log has %d bytes", v.OldestTouch, v.LogBytes)
	}
}
