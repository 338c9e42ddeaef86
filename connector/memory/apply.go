package memory

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// apply does what a request asks. The caller holds the lock.
func (r *Remote) apply(q Request) (answer, error) {
	switch q.Verb {
	case Create, Update, Initialize:
		if err := r.valid(q); err != nil {
			return answer{}, err
		}
	}
	switch q.Verb {
	case Create:
		return r.create(q)
	case Update:
		rec := r.records[at(q.Type, q.RemoteID)]
		if rec == nil {
			return answer{}, gone(q.Type, q.RemoteID)
		}
		rec.set(q.Fields)
		r.log(q, rec.ID)
		return answer{id: rec.ID}, nil
	case Delete:
		if r.records[at(q.Type, q.RemoteID)] != nil {
			r.drop(q.Type, q.RemoteID)
			r.log(q, q.RemoteID)
		}
		return answer{}, nil
	case Find:
		return r.find(q)
	case Initialize:
		return r.initialize(q)
	case Read:
		return r.read(q)
	case Apply:
		return r.applyAll(q), nil
	case StartJob, RunJob, PollJob, JobResults, AbortJob:
		return r.ofJob(q)
	}
	return answer{}, nil
}

func (r *Remote) create(q Request) (answer, error) {
	ids := r.external[at(q.Type, q.ExternalID)]
	if r.config.Class == connector.Upsert && len(ids) > 0 {
		r.records[at(q.Type, ids[0])].set(q.Fields)
		r.log(q, ids[0])
		return answer{id: ids[0]}, nil
	}
	id := r.insert(connector.Record{Type: q.Type, ExternalID: q.ExternalID, Fields: q.Fields}, nil, connector.Origin{})
	r.log(q, id)
	return answer{id: id}, nil
}

func (r *Remote) find(q Request) (answer, error) {
	if r.config.Class == connector.Blind {
		return answer{}, &connector.Error{Kind: connector.Rejected, Message: "this remote can't look a record up by its external id"}
	}
	for _, id := range r.external[at(q.Type, q.ExternalID)] {
		if !r.config.Clock().Before(r.records[at(q.Type, id)].Created.Add(r.config.Lag)) {
			return answer{id: id}, nil
		}
	}
	return answer{}, &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("no %s has the external id %q", q.Type, q.ExternalID)}
}

func (r *Remote) initialize(q Request) (answer, error) {
	origin := r.records[at(q.Origin.Type, q.Origin.RemoteID)]
	if origin == nil {
		return answer{}, gone(q.Origin.Type, q.Origin.RemoteID)
	}
	if len(r.external[at(q.Type, q.ExternalID)]) > 0 {
		return answer{}, &connector.Error{Kind: connector.Exists, Message: fmt.Sprintf("a %s with the external id %q already exists", q.Type, q.ExternalID)}
	}
	var defaults connector.Fields
	if r.config.Defaults != nil {
		defaults = r.config.Defaults(origin.copy(), q.Type)
	}
	id := r.insert(connector.Record{Type: q.Type, ExternalID: q.ExternalID, Fields: q.Fields}, defaults, q.Origin)
	r.log(q, id)
	return answer{id: id}, nil
}

func (r *Remote) read(q Request) (answer, error) {
	rec := r.records[at(q.Type, q.RemoteID)]
	if rec == nil {
		return answer{}, gone(q.Type, q.RemoteID)
	}
	out := make(connector.Fields, len(q.Fields))
	for k, want := range q.Fields {
		got, ok := rec.Fields[k]
		if !ok {
			got = json.RawMessage("null")
		}
		p, err := connector.Project(want, got)
		if err != nil {
			return answer{}, &connector.Error{Kind: connector.Rejected, Message: "field " + k, Err: err}
		}
		out[k] = p
	}
	return answer{id: rec.ID, fields: out}, nil
}

// log adds to the log of what was applied.
func (r *Remote) log(q Request, id string) {
	q.RemoteID = id
	r.applied = append(r.applied, q)
}

// valid refuses what no remote would take.
func (r *Remote) valid(q Request) error {
	if q.ExternalID == "" && q.Verb != Update {
		return &connector.Error{Kind: connector.Rejected, Message: "a new " + q.Type + " needs an external id"}
	}
	for _, k := range slices.Sorted(maps.Keys(q.Fields)) {
		if !json.Valid(q.Fields[k]) {
			return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("field %s is not JSON", k)}
		}
	}
	return r.known(q.Type, slices.Sorted(maps.Keys(q.Fields)))
}

// known refuses types and fields that the configuration does not list.
func (r *Remote) known(recordType string, fields []string) error {
	if r.config.Types == nil {
		return nil
	}
	all, ok := r.config.Types[recordType]
	if !ok {
		return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("record type %q does not exist", recordType)}
	}
	var unknown []string
	for _, f := range fields {
		if !slices.Contains(all, f) {
			unknown = append(unknown, f)
		}
	}
	if len(unknown) > 0 {
		return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("%s has no field %s", recordType, strings.Join(unknown, ", "))}
	}
	return nil
}

func gone(recordType, id string) error {
	return &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("%s %s does not exist", recordType, id)}
}
