package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/shop"
)

// versions compares what a remote was sent of each record, one after the other, with
// what each commit made of it. Where a process died over a version it comes again, so
// what is the same twice in a row counts once.
type versions struct {
	last  map[string]string           // what the last commit made of each record; nil: it has not begun
	want  map[string][]string         // what commits made of it since; "": it is gone
	got   map[string][]string         // what the remote held of it since
	read  int                         // entries of the ledger
	there map[string]connector.Fields // what it holds, by its own id
	names map[string]string           // of those ids
	held  map[string]string           // what it holds, by key
}

// begin takes what there is for what both have.
func (v *versions) begin(ctx context.Context, p *provetest.Place) error {
	now, err := shop.Expect(ctx, p.App, p.Worker.Edition)
	v.there, v.names = map[string]connector.Fields{}, map[string]string{}
	v.last, v.held, v.got = map[string]string{}, map[string]string{}, map[string][]string{}
	v.follow(p)
	for key := range now {
		if !now.Kept(key) {
			v.last[key] = text(now[key])
		}
	}
	v.want, v.got = map[string][]string{}, map[string][]string{}
	return err
}

// commit notes what a commit has made of the records.
func (v *versions) commit(ctx context.Context, p *provetest.Place) error {
	now, err := shop.Expect(ctx, p.App, p.Worker.Edition)
	if err != nil {
		return err
	}
	for key := range now {
		if !now.Kept(key) {
			v.note(key, text(now[key]))
		}
	}
	for key, before := range v.last {
		if _, there := now[key]; !there && before != "" {
			v.note(key, "")
		}
	}
	return nil
}

func (v *versions) note(key, now string) {
	if v.last[key] != now {
		v.want[key] = append(v.want[key], now)
		v.last[key] = now
	}
}

// compare says where the remote was sent something else.
func (v *versions) compare(p *provetest.Place) error {
	v.follow(p)
	for _, key := range slices.Sorted(maps.Keys(v.got)) {
		if !slices.Equal(v.got[key], v.want[key]) {
			return fmt.Errorf("%s was sent as %q, and its commits made %q of it", key, v.got[key], v.want[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(v.want)) {
		if len(v.got[key]) == 0 {
			return fmt.Errorf("%s was not sent, and its commits made %q of it", key, v.want[key])
		}
	}
	return nil
}

// follow reads on in the ledger.
func (v *versions) follow(p *provetest.Place) {
	for _, e := range p.Remote.Applied(v.read) {
		v.read++
		key := e.Type + "/" + e.ExternalID
		v.names[e.ID] = key
		now := ""
		if e.Verb == "delete" {
			delete(v.there, e.ID)
		} else {
			if v.there[e.ID] == nil {
				v.there[e.ID] = connector.Fields{}
			}
			maps.Copy(v.there[e.ID], e.Fields)
			fields := map[string]string{}
			for name, value := range v.there[e.ID] {
				fields[name] = v.named(value)
			}
			now = text(fields)
		}
		if v.held[key] != now {
			v.got[key] = append(v.got[key], now)
			v.held[key] = now
		}
	}
}

// named puts external ids for the ids of the remote's own in a reference.
func (v *versions) named(value json.RawMessage) string {
	var ref struct {
		Ref string `json:"ref"`
	}
	if json.Unmarshal(value, &ref) != nil || v.names[ref.Ref] == "" {
		return string(value)
	}
	return fmt.Sprintf(`{"ref":%q}`, v.names[ref.Ref])
}

// text is a record, fields that are null left out, and one text for what is one value.
func text(fields map[string]string) string {
	all := map[string]any{}
	for name, value := range fields {
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			v = value
		}
		if v != nil {
			all[name] = v
		}
	}
	b, _ := json.Marshal(all) // what was decoded can be encoded
	return string(b)
}
