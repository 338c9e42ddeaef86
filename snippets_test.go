package upkeep_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every Go block in the documents stands in an example, which is compiled and
// run. A line "// ..." in a block leaves something out.
func TestGoBlocksInDocumentsAreExamples(t *testing.T) {
	examples := map[string][]string{}
	for _, pattern := range []string{"example_*_test.go", "*/example*_test.go", "connector/*/example_test.go", "examples/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			examples[file] = codeLines(readText(t, file))
		}
	}
	documents := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "*/*/README.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, files...)
	}
	for _, document := range documents {
		blocks := goBlocks(readText(t, document))
		if len(blocks) == 0 && (document == "README.md" || document == "docs/go.md") {
			t.Errorf("%s has no Go block", document)
		}
		for _, block := range blocks {
			found := false
			for _, lines := range examples {
				found = found || contains(lines, block)
			}
			if !found {
				t.Errorf("%s: no example has this:\n%s", document, block)
			}
		}
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func goBlocks(document string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(document, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// codeLines are the lines that count: without indentation, empty lines, and what
// stands between the parts of the README's program.
func codeLines(text string) (lines []string) {
	text = regexp.MustCompile(`(?s)// README: end\n.*?// README: begin\n`).ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// contains says whether all parts of a block stand in lines, in their order.
func contains(lines []string, block string) bool {
	var part []string
	find := func() bool {
		for i := 0; len(part) > 0 && i+len(part) <= len(lines); i++ {
			if slices.Equal(lines[i:i+len(part)], part) {
				lines, part = lines[i+len(part):], nil
			}
		}
		return len(part) == 0
	}
	for _, line := range codeLines(block) {
		if line != "// ..." {
			part = append(part, line)
		} else if !find() {
			return false
		}
	}
	return find()
}

func TestContains(t *testing.T) {
	lines := codeLines("a\n\tb := 1\n\nc\nd\n// README: end\nx\n// README: begin\ne\n")
	for block, want := range map[string]bool{
		"a\nb := 1": true, "b  := 1\nc": true, "a\n// ...\nd\ne": true, "d\ne": true, "x": false, "a\nc": false, "d\n// ...\na": false, "": true,
	} {
		if contains(lines, block) != want {
			t.Errorf("contains(%q) = %v", block, !want)
		}
	}
}
