package upkeep

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// mostOfARecord is how large the fields of one record may be, in bytes of their texts.
// No remote takes as much in a request about a record; and what has grown out of
// all proportion must not take the memory of those beside it.
const mostOfARecord = 64 << 20

// tooLarge says which field makes fields, which are frozen, too large. It adds up
// what would be written, without writing it: a text that stands in a list many
// times is in memory once, until then.
func tooLarge(f Fields) error {
	var whole, most int64
	var largest string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		n := weight(f[name])
		if whole += n; n > most {
			most, largest = n, name
		}
	}
	if whole <= mostOfARecord {
		return nil
	}
	return fmt.Errorf("the record would have %d MB, and one of more than %d MB is not sent; the field %s has %d MB of it: shorten it, or leave it out", whole>>20, mostOfARecord>>20, cut(largest, 100), most>>20)
}

// weight is about how many bytes a frozen value is when it is written.
func weight(v any) int64 {
	var n int64
	switch v := v.(type) {
	case string:
		return int64(len(v)) + 2
	case *string:
		if v != nil {
			return int64(len(*v)) + 2
		}
	case json.RawMessage:
		return int64(len(v))
	case json.Number:
		return int64(len(v))
	case Fields:
		return weightOf(v)
	case map[string]any:
		return weightOf(v)
	case Row:
		return weightOf(v)
	case []any:
		for _, e := range v {
			n += 1 + weight(e)
		}
		return n
	case []Fields:
		for _, e := range v {
			n += 1 + weightOf(e)
		}
		return n
	case []Row:
		for _, e := range v {
			n += 1 + weightOf(e)
		}
		return n
	}
	return 8
}

func weightOf(m map[string]any) int64 {
	var n int64
	for name, e := range m {
		n += int64(len(name)) + 4 + weight(e)
	}
	return n
}
