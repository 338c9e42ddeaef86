package upkeep

import (
	"reflect"
	"strings"
	"testing"
)

// Every wrong tag is told at once, with the way to it.
func TestAllBadTagsAreTold(t *testing.T) {
	type inner struct {
		line
		A int64    `Db:"a"`
		B chan int `db:"b"`
	}
	type outer struct {
		X int64   `hasone:"x.y"`
		L []inner `has_many:"lines.order_id"`
	}
	_, err := Sync[outer]{Name: "order", Table: "t"}.Declaration()
	want := []string{
		`sync "order": upkeep.outer.X: the tag hasone is nearly has_one`,
		`sync "order": upkeep.outer.L: upkeep.inner.A: the tag Db is nearly db`,
		`sync "order": upkeep.outer.L: upkeep.inner.B: a column can't be read into`,
	}
	got := split(err)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i].Error(), want[i]) {
			t.Fatalf("got %v\nwant %s", err, strings.Join(want, "\n"))
		}
	}
}

// The tags of other libraries are theirs.
func TestTagsOfOthersAreLeftAlone(t *testing.T) {
	for key := range strings.FieldsSeq(`json xml yaml toml bson gorm sql pg bun validate binding form query param header uri env envconfig
		default mapstructure csv avro parquet protobuf dynamodbav firestore datastore redis msgpack codec schema url example description
		enums format required min max doc desc help cmd arg flag group short name xorm orm fake faker ini hcl cty tfsdk graphql ch spanner
		bigquery cql mask log zap id pk dbx table fk foreignkey references index unique size type const mount comment sort limit where order to column _`) {
		if err := misspelled(reflect.StructTag(key + `:"x"`)); err != nil {
			t.Error(err)
		}
	}
	for _, tag := range []reflect.StructTag{"", "plain words", `json:"a" db:"b"`, `has_many:"a.b" order:"c" where:"d" to:"e" json:"-"`, `json: "a"`} {
		if err := misspelled(tag); err != nil {
			t.Error(tag, err)
		}
	}
	if err := misspelled(`db: "a"`); err == nil || !strings.Contains(err.Error(), "with nothing between colon and quote") {
		t.Error(err)
	}
}
