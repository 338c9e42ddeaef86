package connectortest

import (
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

// incomplete lists the fields that the suite needs and the target does not
// have.
func (t Target) incomplete() (lacks []string) {
	if t.Connection == nil {
		return []string{"Connection"}
	}
	_, reads := t.Connection.(connector.Reader)
	_, initializes := t.Connection.(connector.Initializer)
	for name, there := range map[string]bool{
		"Type": t.Type != "", "Text": t.Text != "", "Other": t.Other != "",
		"LongText (255 or more)": t.LongText >= 255,
		"Number":                 t.Number != "",
		"Numbers (4 or more)":    len(t.Numbers) >= 4,
		"Date":                   t.Date != "", "Time": t.Time != "",
		"List": t.List != "", "Line": t.Line != nil,
		"RefField": t.RefField != "", "Ref": t.Ref != nil,
		"Count": t.Count != nil, "Fail": t.Fail != nil, "Heal": t.Heal != nil,
		"Stored (the connection is no connector.Reader)":                reads || t.Stored != nil,
		"Origin, InitType, InitText (the connection is an Initializer)": !initializes || t.Origin != nil && t.InitType != "" && t.InitText != "",
	} {
		if !there {
			lacks = append(lacks, name)
		}
	}
	slices.Sort(lacks)
	return lacks
}
