package protocol

import "testing"

// fieldSearch is far enough for every broken variant.
func fieldSearch() []fieldProtocol {
	search := []fieldProtocol{
		{commits: 4, faults: 2}, {commits: 2, faults: 2, edits: 1}, {commits: 1, faults: 1, edits: 1, restores: 1},
		{commits: 2, faults: 2, losses: 1}, {commits: 2, faults: 2, losses: 1, remakes: true},
		{commits: 3, faults: 1, skips: 1}, {commits: 2, faults: 2, skips: 1}, {commits: 2, faults: 1, losses: 1, remakes: true, skips: 1},
	}
	if *deep {
		search = append(search, fieldProtocol{commits: 5, faults: 4}, fieldProtocol{commits: 3, faults: 3, edits: 1},
			fieldProtocol{commits: 3, faults: 3, losses: 1}, fieldProtocol{commits: 3, faults: 3, losses: 1, remakes: true},
			fieldProtocol{commits: 2, faults: 2, restores: 1},
			fieldProtocol{commits: 4, faults: 2, skips: 2}, fieldProtocol{commits: 2, faults: 1, restores: 1, skips: 1})
	}
	return search
}

func eachFields(t *testing.T, rules fieldRules) (found violation) {
	for _, p := range fieldSearch() {
		p.fieldRules = rules
		v := walk(p.start(), p.next, p.broken, p.clean)
		t.Logf("%+v: %v", p, v)
		if v.violation != "" {
			return v.violation
		}
	}
	return ""
}

// What a doubt's calls did not carry need not go again.
func TestFields(t *testing.T) {
	if found := eachFields(t, fieldRules{}); found != "" {
		t.Error(found)
	}
}

func TestBrokenFields(t *testing.T) {
	for name, rules := range map[string]fieldRules{
		"what a call in doubt sent is known":                     {lostIsKnown: true},
		"what was acknowledged in doubt is":                      {lateIsKnown: true},
		"a note counts though a later claim left none":           {anyNote: true},
		"a doubt that nobody noted anything of leaves all known": {lostIsNoted: true},
		"what something else forced goes in part":                {forcedInPart: true},
		"the end of a doubt ends what something else has forced": {settledEarly: true},
		"an update that may make a record is noted as any other": {remadeInPart: true},
		"what was done in a try without a success is not noted":  {doneIsUnsaid: true},
		"a restore forces nothing":                               {unswept: true},
		"what is left is what the row has come to be":            {skipsLater: true},
		"what is sent of another field makes it as good as sent": {leftForgot: true},
	} {
		t.Run(name, func(t *testing.T) {
			if found := eachFields(t, rules); found != falseClean {
				t.Errorf("found %q, want %q", found, falseClean)
			}
		})
	}
}
