package mapping

import (
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

var columnTypes = map[kind]connector.Type{
	integer: connector.Integer, decimals: connector.Decimal, float: connector.Float, text: connector.Text,
	boolean: connector.Boolean, date: connector.Date, instant: connector.Time, binary: connector.Bytes,
	row: connector.JSON, object: connector.JSON, reference: connector.Reference, list: connector.List,
}

// Column is what is known of the expression's values, as the field of this
// name.
func (e *Expression) Column(name string) connector.Column { return e.typ.field(name) }

func (t Type) field(name string) connector.Column {
	c := connector.Column{Name: name, Type: columnTypes[t.kind]}
	if t.kind != list {
		return c
	}
	switch elem := *t.elem; elem.kind {
	case bad, null, open, list:
	case row:
		for _, column := range elem.table.Info.Columns {
			c.List = append(c.List, elem.table.column(column).field(column.Name))
		}
	case object:
		for _, f := range slices.Sorted(maps.Keys(elem.fields)) {
			c.List = append(c.List, elem.fields[f].field(f))
		}
	default:
		c.List = []connector.Column{elem.field("")}
	}
	return c
}
