package upkeep

import (
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// unsendable refuses the jobs of a look ahead that their connection would refuse
// before it sends anything.
func unsendable(jobs []*job) {
	for _, j := range jobs {
		f, can := j.def.To.Connection.(connector.Foreseer)
		if !can {
			continue
		}
		x := connector.Change{Record: j.record}
		switch what, changed := j.rehearsed(); what {
		case "create":
		case "update":
			x.Action, x.RemoteID, x.Record.Fields = connector.Update, j.claim.RemoteID, only(j.record.Fields, changed)
		default:
			continue
		}
		if err := f.Foresee(x); !isNil(err) && connector.KindOf(err) == connector.Rejected {
			_, reason := asked(connector.AsError(err))
			j.refuse(reason)
		}
	}
}

// keyDoubt warns of a key of several columns whose text makes external ids that
// the connection would refuse: a comma inside a value stands behind a backslash
// in the key, and so in the id that is made of it by default.
func (d *definition) keyDoubt(shape *store.Shape) []Finding {
	f, can := d.To.Connection.(connector.Foreseer)
	if !can || d.ExternalID != nil || len(shape.Root.Key) < 2 {
		return nil
	}
	var plain, odd []any
	var texts []string
	for _, c := range shape.Root.Key {
		some := samples[c.Kind]
		if len(some) == 0 {
			return nil
		}
		plain, odd = append(plain, some[0]), append(odd, some[0])
		if c.Kind == store.Text && c.Labels == "" && !strings.EqualFold(c.Type, "uuid") {
			odd[len(odd)-1] = "a, b"
			texts = append(texts, c.Name)
		}
	}
	refusal := func(values []any) error {
		key, err := store.Key(values...)
		if err != nil {
			return nil
		}
		err = f.Foresee(connector.Change{Record: connector.Record{Type: d.Record, ExternalID: d.Name + "-" + key}})
		if isNil(err) || connector.KindOf(err) != connector.Rejected {
			return nil
		}
		return err
	}
	if len(texts) == 0 || refusal(plain) != nil {
		return nil // what is refused of any key is not the comma's
	}
	err := refusal(odd)
	if err == nil {
		return nil
	}
	_, reason := asked(connector.AsError(err))
	return []Finding{{Severity: Warning, Subject: d.Name, Sync: d.Name,
		Message: fmt.Sprintf("its external ids are made of the key of %s, and a row with a comma or a backslash in %s would be parked, as here with %q: %s", shape.Root.Table, strings.Join(texts, " or "), "a, b", reason),
		Fix:     "give the sync an external_id (ExternalID in Go) that has none of them, where a record that is there keeps its own; nothing, if no key has them: upkeep plan --records says which would be refused"}}
}
