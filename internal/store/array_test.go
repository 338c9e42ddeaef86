package store

import (
	"fmt"
	"strings"
	"testing"
)

func TestArray(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                                `[]`,
		`{a}`:                               `["a"]`,
		`{1,-2,NULL}`:                       `["1" "-2" nil]`,
		`{"a b","c,d","}","{","NULL",""}`:   `["a b" "c,d" "}" "{" "NULL" ""]`,
		`{"it\"s","back\\slash",ü}`:         `["it\"s" "back\\slash" "ü"]`,
		`[0:1]={a,b}`:                       `["a" "b"]`,
		`{"[1,2)","[3,4)"}`:                 `["[1,2)" "[3,4)"]`,
		``:                                  `is not the text`,
		`a`:                                 `is not the text`,
		`{a`:                                `does not end`,
		`{"a`:                               `does not end`,
		`{"a"b}`:                            `is not the text`,
		`{a}b`:                              `is not the text`,
		`{{a,b},{c,d}}`:                     `several dimensions`,
		`[1:1][1:2]={{a,b}}`:                `several dimensions`,
		`{"a",`:                             `does not end`,
		`{` + strings.Repeat("x", 9) + "\\": `does not end`,
	} {
		got, err := Array(text)
		shown := fmt.Sprint(err)
		if err == nil {
			var all []string
			for _, e := range got {
				if e == nil {
					all = append(all, "nil")
				} else {
					all = append(all, fmt.Sprintf("%q", *e))
				}
			}
			shown = "[" + strings.Join(all, " ") + "]"
		}
		if (err == nil) != strings.HasPrefix(want, "[") || !strings.Contains(shown, want) {
			t.Errorf("%s: %s, want %s", text, shown, want)
		}
	}
}
