package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const ok = `{"Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p","Elapsed":1}` + "\n"
	for _, c := range []struct {
		name, in, want string
		status         int
	}{
		{"all is well", `{"Action":"output","Package":"p","Test":"A","Output":"noise\n"}` + "\n" + ok, "ok    p  1.0s\n1 passed, 0 failed, 0 skipped\n", 0},
		{"a failure shows its output", `{"Action":"output","Package":"p","Test":"B","Output":"why\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"B"}` + "\n" + ok, "p\nwhy\n", 1},
		{"a skip", `{"Action":"skip","Package":"p","Test":"B"}` + "\n" + ok, "every test has to run", 1},
		{"a package that does not build", `{"Action":"fail","Package":"q"}` + "\n" + ok, "FAIL  q", 1},
		{"a process that died", ok + `{"Action":"output","Package":"q","Test":"C","Output":"=== RUN\n"}`, "q C did not end", 1},
		{"no tests", "", "0 passed", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if status := report(strings.NewReader(c.in), &out); status != c.status || !strings.Contains(out.String(), c.want) {
				t.Errorf("status %d, want %d:\n%s", status, c.status, out.String())
			}
		})
	}
}
