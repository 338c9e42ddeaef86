package store

import (
	"strings"
	"testing"
)

// A key with too many values is told how a comma inside a value is written, and
// what is told is right.
func TestSplitKeyWithCommas(t *testing.T) {
	t.Parallel()
	_, err := SplitKey("Rome, RM,42", 2)
	if err == nil || !strings.Contains(err.Error(), `write a comma inside a value as \,: 'Rome\, RM,42'`) {
		t.Errorf("too many: %v", err)
	}
	parts, err := SplitKey(`Rome\, RM,42`, 2)
	if err != nil || len(parts) != 2 || parts[0] != "Rome, RM" || parts[1] != "42" {
		t.Errorf("as it is told: %q, %v", parts, err)
	}
	if _, err := SplitKey("Rome", 2); err == nil || !strings.Contains(err.Error(), "give a value for each") {
		t.Errorf("too few: %v", err)
	}
}
