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

func TestTableAlignsWideCharacters(t *testing.T) {
	var b bytes.Buffer
	tab := newTable(&b, "KEY", ">N", "NOTE")
	tab.row("東京タワー", "ﾊ", "half")
	tab.row("e\u0301te\u0301", "12", "marks")
	tab.row("🙂 ok", "７", "full")
	if err := tab.flush(); err != nil {
		t.Fatal(err)
	}
	want := "KEY          N  NOTE\n" + "東京タワー   ﾊ  half\n" + "e\u0301te\u0301         12  marks\n" + "🙂 ok       ７  full\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}
