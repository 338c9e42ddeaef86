package warehouse_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
)

// A page of HTML in a message's place claims half a gigabyte: no room is made
// for it.
func TestPageOfHTMLTakesNoMemory(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			_, _ = c.Read(make([]byte, 1024)) // how the connection is to be
			_, _ = c.Write([]byte("<!DOCTYPE html>\n<html><body>Maintenance</body></html>\n"))
			_ = c.Close()
		}
	}()
	w, err := warehouse.Open(warehouse.Config{URL: connector.Secret("postgres://u:p@" + l.Addr().String() + "/db?sslmode=disable")})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = w.Find(t.Context(), "orders", "1")
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("a page of HTML was taken for an answer")
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 64 {
		t.Errorf("%d MB were taken for a page of HTML: %v", took, err)
	}
}
