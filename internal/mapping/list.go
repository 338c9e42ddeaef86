package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// each iterates over a list: the rows of a relation, a list that was made, or
// a JSON array.
func each(v any) func(func(any) bool) {
	return func(yield func(any) bool) {
		switch v := v.(type) {
		case []store.Row:
			for _, e := range v {
				if !yield(e) {
					return
				}
			}
		case []any:
			for _, e := range v {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func size(v any) int {
	switch v := v.(type) {
	case []store.Row:
		return len(v)
	case []any:
		return len(v)
	}
	return 0
}

func items(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return slices.Collect(each(v))
}

// asList checks at run time that a JSON value is a list.
func asList(v any) error {
	switch v.(type) {
	case []store.Row, []any:
		return nil
	}
	return errors.New("the JSON value is not a list but " + jsonWord(v))
}

func jsonWord(v any) string {
	switch v.(type) {
	case json.Number:
		return "a number"
	case map[string]any:
		return "an object"
	}
	return "a " + strings.TrimPrefix(fmt.Sprintf("%T", v), "*")
}
