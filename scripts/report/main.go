// Command report reads the output of "go test -json" and prints a line for
// each package, all that failed tests printed, and the tests that were
// skipped. It exits with 1 if a test failed, was skipped, or did not end.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() { os.Exit(report(os.Stdin, os.Stdout)) }

func report(in io.Reader, out io.Writer) int {
	var passed, failed, skipped int
	output := map[string]*strings.Builder{} // of tests and packages that have not ended
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(out, line) // go itself, not a test
				continue
			}
			id := e.Package + " " + e.Test
			switch e.Action {
			case "build-output":
				fmt.Fprint(out, e.Output)
			case "output":
				if output[id] == nil {
					output[id] = &strings.Builder{}
				}
				output[id].WriteString(e.Output)
			case "pass", "fail", "skip":
				text := ""
				if b := output[id]; b != nil {
					text = b.String()
					delete(output, id)
				}
				if e.Test == "" {
					packageEnded(out, e, text)
					if e.Action == "fail" {
						failed++ // also when none of its tests did: a panic, a build
					}
					break
				}
				switch e.Action {
				case "pass":
					passed++
				case "fail":
					failed++
					fmt.Fprintf(out, "%s\n%s", e.Package, text)
				case "skip":
					skipped++
					fmt.Fprintf(out, "%s\n%severy test has to run\n", e.Package, text)
				}
			}
		}
		if err != nil {
			break
		}
	}
	for id, b := range output { // the tests of a process that died
		failed++
		fmt.Fprintf(out, "%s did not end\n%s", id, b)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || skipped > 0 || passed == 0 {
		return 1
	}
	return 0
}

func packageEnded(out io.Writer, e event, text string) {
	switch e.Action {
	case "fail":
		fmt.Fprintf(out, "FAIL  %s  %.1fs\n%s", e.Package, e.Elapsed, text)
	case "pass":
		fmt.Fprintf(out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
	}
}
