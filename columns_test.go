package upkeep_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// uuid reads a UUID, as the types of the usual libraries do.
type uuid [16]byte

func (u *uuid) UnmarshalText(text []byte) error {
	copy(u[:], text) // enough to see that it was called
	return nil
}

// words are the texts of values with spaces between.
func words(values ...any) string { return strings.TrimSpace(fmt.Sprintln(values...)) }

// The types that the comment of Sync promises for each type of column.
func TestColumnTypes(t *testing.T) {
	type word string
	type doc struct{ A int }
	type typed struct {
		ID       int64           `db:"id"`
		Small    int16           `db:"small"`
		Unsigned uint32          `db:"big"`
		Amount   decimal.Decimal `db:"amount"`
		Ratio    float64         `db:"ratio"`
		Word     word            `db:"word"`
		UUID     uuid            `db:"uid"`
		Flag     bool            `db:"flag"`
		Day      upkeep.Date     `db:"day"`
		At       time.Time       `db:"at"`
		Bytes    []byte          `db:"bytes"`
		Doc      doc             `db:"doc"`
		Maybe    *word           `db:"maybe"`
		None     *time.Time      `db:"none"`
	}
	type otherwise struct {
		ID     string          `db:"id"`
		Small  *int            `db:"small"`
		Big    decimal.Decimal `db:"big"`
		Amount string          `db:"amount"`
		Ratio  *float64        `db:"ratio"`
		UUID   *string         `db:"uid"`
		Flag   *bool           `db:"flag"`
		Day    time.Time       `db:"day"`
		At     *time.Time      `db:"at"`
		Doc    map[string]any  `db:"doc"`
	}
	type raw struct {
		Day  *upkeep.Date    `db:"day"`
		Doc  json.RawMessage `db:"doc"`
		None any             `db:"none"`
	}
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table typed (id integer primary key, small smallint not null, big bigint not null, amount numeric(10,2) not null, ratio double precision not null,
				word varchar(10) not null, uid uuid not null, flag boolean not null, day date not null, at timestamp not null, bytes bytea not null, doc json not null,
				maybe text, none timestamp);
			insert into typed values (1, 2, 3, 4.50, 0.5, 'w', '0e37df36-f698-11e6-8dd4-cb9ced3df976', true, '2026-01-02', '2026-01-02 03:04:05', 'ab', '{"A": 7}', 'm', null)`)
		e := s.engine(
			upkeep.Sync[typed]{Name: "a", Table: "typed", To: s.to, Record: "a", Translate: func(v typed) (upkeep.Fields, error) {
				return upkeep.Fields{"all": words(v.ID, v.Small, v.Unsigned, v.Amount, v.Ratio, v.Word, string(v.UUID[:8]), v.Flag, v.Day, v.At, string(v.Bytes), v.Doc.A, *v.Maybe, v.None == nil)}, nil
			}},
			upkeep.Sync[otherwise]{Name: "b", Table: "typed", To: s.to, Record: "b", Translate: func(v otherwise) (upkeep.Fields, error) {
				return upkeep.Fields{"all": words(v.ID, *v.Small, v.Big, v.Amount, *v.Ratio, *v.UUID, *v.Flag, v.Day, *v.At, v.Doc["A"])}, nil
			}},
			upkeep.Sync[raw]{Name: "c", Table: "typed", To: s.to, Record: "c", Translate: func(v raw) (upkeep.Fields, error) {
				return upkeep.Fields{"all": words(*v.Day, string(v.Doc), v.None)}, nil
			}})
		findings, err := e.Check(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Severity == upkeep.Problem || f.Severity == upkeep.Warning {
				t.Errorf("%s: %s", f.Subject, f.Message)
			}
		}
		s.run(e)
		s.quiet(e)
		for _, sync := range []string{"a", "b", "c"} {
			s.state(e, sync, "1", upkeep.Clean)
		}
		s.field("a", "a-1", "all", `"1 2 3 4.5 0.5 w 0e37df36 true 2026-01-02 2026-01-02 03:04:05 +0000 UTC ab 7 m true"`)
		s.field("b", "b-1", "all", `"1 2 3 4.5 0.5 0e37df36-f698-11e6-8dd4-cb9ced3df976 true 2026-01-02 00:00:00 +0000 UTC 2026-01-02 03:04:05 +0000 UTC 7"`)
		s.field("c", "c-1", "all", `"2026-01-02 {\"A\":7} <nil>"`)
	})
}
