package upkeep

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/spelling"
)

// The words of the tags: those that say what a field is, and those that say
// more of a relation and stand beside one of these.
var (
	fieldTags    = append([]string{"db"}, relationTags...)
	relationTags = []string{"belongs_to", "has_one", "has_many", "count", "sum"}
	besideTags   = []string{"to", "where", "order", "column"}
)

// misspelled says which of a field's tags are meant for Upkeep and are none of
// its own. The tags of other libraries are none of its business, so only what
// is nearly one of ours is an error: ignored, it would load less than was meant.
func misspelled(tag reflect.StructTag) error {
	keys, rest := tagKeys(tag)
	related := slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(relationTags, k) })
	for _, key := range keys {
		switch {
		case slices.Contains(fieldTags, key), slices.Contains(besideTags, key) && related:
		case slices.Contains(besideTags, key) && slices.Contains(keys, "db"):
			return fmt.Errorf("the tag %s says more of a relation, and stands beside db here: it would be ignored", key)
		case slices.Contains(besideTags, key): // another library's
		case key == "upkeep":
			word := strings.FieldsFunc(tag.Get(key), func(r rune) bool { return strings.ContainsRune(":=, ", r) })
			if meant := nearestTag(append(word, "")[0], true); meant != "" {
				return fmt.Errorf("the tag upkeep:%q has the name of none; write %s", tag.Get(key), usage(meant))
			}
			return fmt.Errorf("the tag upkeep:%q has the name of none; there are %s", tag.Get(key), strings.Join(fieldTags, ", "))
		default:
			if meant := nearestTag(key, related); meant != "" {
				return fmt.Errorf("the tag %s is nearly %s; write %s", key, meant, usage(meant))
			}
		}
	}
	if key, _, colon := strings.Cut(rest, ":"); colon {
		if meant := nearestTag(strings.TrimSpace(key), related); meant != "" {
			return fmt.Errorf("the tag `%s` can't be read from %q on; write %s, with nothing between colon and quote", tag, rest, usage(meant))
		}
	}
	return nil
}

// usage is how a tag is written.
func usage(word string) string {
	switch word {
	case "db", "to", "column":
		return word + `:"column"`
	case "where", "order":
		return word + `:"SQL"`
	}
	return word + `:"table.foreign_key"`
}

// nearestTag is the tag that is meant by a word; empty when it is none of ours.
func nearestTag(word string, related bool) string {
	known := fieldTags
	if related {
		known = append(slices.Clone(fieldTags), besideTags...)
	}
	bare := strings.NewReplacer("_", "", "-", "")
	plain := func(s string) string { return strings.ToLower(bare.Replace(s)) }
	for _, k := range known {
		if plain(k) == plain(word) {
			return k
		}
	}
	for _, k := range known {
		// Of a short word every other one is near; and nobody mistypes the
		// first letter.
		if len(k) >= 5 && strings.HasPrefix(plain(word), k[:1]) && len(spelling.Alike(plain(word), []string{plain(k)})) > 0 {
			return k
		}
	}
	return ""
}

// tagKeys are the keys of a struct tag, as reflect.StructTag finds them, and
// what can't be read of it.
func tagKeys(tag reflect.StructTag) (keys []string, rest string) {
	for rest = strings.TrimLeft(string(tag), " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		end := strings.IndexAny(rest, " :\"")
		if end < 1 || !strings.HasPrefix(rest[end:], `:"`) {
			return keys, rest
		}
		value, err := strconv.QuotedPrefix(rest[end+1:])
		if err != nil {
			return keys, rest
		}
		keys = append(keys, rest[:end])
		rest = rest[end+1+len(value):]
	}
	return keys, ""
}
