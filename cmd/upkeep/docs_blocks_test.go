package main

import (
	"fmt"
	"strings"
	"testing"
)

func blocksOf(document string) ([]block, error) {
	var blocks []block
	open, indent := -1, ""
	for i, line := range strings.Split(document, "\n") {
		body := strings.TrimLeft(line, " >")
		fence := strings.HasPrefix(body, "```") || strings.HasPrefix(body, "~~~")
		switch {
		case fence && open < 0:
			b := block{line: i + 1, is: map[string]string{}}
			for n, w := range strings.Fields(strings.TrimLeft(body, "`~")) {
				name, value, _ := strings.Cut(w, "=")
				if n == 0 {
					b.kind = w
				} else {
					b.is[name] = value
				}
			}
			open, indent = len(blocks), line[:len(line)-len(body)]
			blocks = append(blocks, b)
		case fence:
			open = -1
		case open >= 0:
			blocks[open].text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open >= 0 {
		return nil, fmt.Errorf("line %d: the block does not end", blocks[open].line)
	}
	return blocks, nil
}

func TestBlocksOf(t *testing.T) {
	t.Parallel()
	got, err := blocksOf("a\n```\nbare\n```\n- in a list\n\n  ```sql postgres as=owner\n  SELECT 1\n  ```\n")
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if got[0].kind != "" || got[0].line != 2 || got[0].text != "bare\n" {
		t.Errorf("a bare block: %+v", got[0])
	}
	if _, postgres := got[1].is["postgres"]; got[1].kind != "sql" || !postgres || got[1].is["as"] != "owner" || got[1].text != "SELECT 1\n" {
		t.Errorf("a block in a list: %+v", got[1])
	}
	if _, err := blocksOf("```sh\nls\n"); err == nil {
		t.Error("a block without an end is taken")
	}
}
