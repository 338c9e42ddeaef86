package main

import (
	"bytes"
	"testing"
	"time"
)

func TestTableAlignsNumbersAtTheRight(t *testing.T) {
	var b bytes.Buffer
	tab := newTable(&b, "SYNC", ">GROUPS", "NOTE")
	tab.row("größe", "7", "")
	tab.row("a", "12345678", "x\ny")
	if err := tab.flush(); err != nil {
		t.Fatal(err)
	}
	want := "SYNC     GROUPS  NOTE\n" + "größe         7\n" + "a      12345678  x y\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

// A time for people says its zone.
func TestMoment(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 1, 2, 3, 0, time.FixedZone("east", 3600))
	if got := moment(at); got != "2026-11-26 00:02:03Z" {
		t.Error(got)
	}
}
