package upkeep

import "github.com/upkeep-sync/upkeep/connector"

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
