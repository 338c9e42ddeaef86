package main

import (
	"bytes"
	"testing"
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
