package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

// batch is a compiled Batch.
type batch struct {
	most                   int
	create, update, remove *batchRequest
}

// batchRequest is a compiled BatchRequest.
type batchRequest struct {
	*request
	change   node
	match    text
	results  *results
	failures *failures
}

type results struct {
	list, key, id, failed pointer // failed nil: elements are successes
	byPosition            bool
}

type failures struct {
	list, key, code, message pointer
}

func (c *compiler) batch(path at, r Record, id idSource, single *recordAPI) *batch {
	b := r.Batch
	if b == nil {
		return nil
	}
	if b.Most < 2 {
		c.fail(path.of("most"), "batch.most is how many changes one request takes: 2 or more")
	}
	if b.Create != nil && b.Upsert != nil {
		c.fail(path.of("upsert"), "give create or upsert, not both")
	}
	if single.repeats != (b.Upsert != nil) && single.create != nil {
		word := map[bool]string{true: "upsert", false: "create"}[single.repeats]
		c.fail(path, "single records have %s, so that the batch needs %s too", word, word)
	}
	out := &batch{most: b.Most}
	out.create = c.batchRequest(path.of("create"), creating, b.Create, id, ofRecord, single)
	if b.Upsert != nil {
		out.create = c.batchRequest(path.of("upsert"), creating, b.Upsert, id, ofRecord, single)
	}
	out.update = c.batchRequest(path.of("update"), updating, b.Update, id, ofUpdate, single)
	if b.Update == nil && single.byUpsert && out.create != nil {
		q, inner := *out.create, *out.create.request
		inner.verb = updating
		q.request = &inner
		out.update = &q
	}
	out.remove = c.batchRequest(path.of("delete"), deleting, b.Delete, id, ofDelete, single)
	if single.update != nil && out.update == nil {
		c.fail(path, "single records have update, so that the batch needs update too")
	}
	if single.remove != nil && out.remove == nil {
		c.fail(path, "single records have delete, so that the batch needs delete too")
	}
	return out
}

func (c *compiler) batchRequest(path at, v verb, b *BatchRequest, id idSource, allowed []string, single *recordAPI) *batchRequest {
	if b == nil {
		return nil
	}
	out := &batchRequest{request: c.request(path, v, &b.Request, "POST", id, slices.Concat(ofBatch, []string{changes}))}
	if !mentions(b.Body, changes) {
		c.fail(path.of("body"), "the body of a batch needs $changes, where the list of changes goes")
	}
	if b.Change == nil {
		c.fail(path.of("change"), "change is missing: the template of one change in the list")
	}
	out.change = c.tree(path.of("change"), b.Change, allowed)
	if out.keyed && (mentions(b.Change, version) || mentions(b.Change, timestamp)) {
		c.fail(path.of("change"), "a request with $idempotency_key can't also send $version or $timestamp: they differ at each attempt, and the key must not")
	}
	out.match = text{{name: externalID}}
	if b.Match != "" {
		out.match = c.text(path.of("match"), b.Match, allowed)
	}
	if b.Results == nil && b.Failures == nil && v == updating {
		c.fail(path, "results or failures must say how the answer tells what became of each change")
	}
	if b.Results == nil && v == creating && !out.id.external {
		c.fail(path.of("results"), "results is missing: where the answer has the ids of new records")
	}
	out.empty = b.Results == nil
	if r := b.Results; r != nil {
		path := path.of("results")
		if r.ByPosition == (r.Key != "") {
			c.fail(path, "results are told apart by key, or by_position: true where the remote promises their order: give one")
		}
		out.results = &results{list: c.pointer(path.of("list"), r.List), key: c.pointer(path.of("key"), r.Key), byPosition: r.ByPosition,
			id: c.pointerOr(path.of("id"), r.ID, "/id"), failed: c.pointerOr(path.of("failed"), r.Failed, "")}
	}
	if f := b.Failures; f != nil {
		path := path.of("failures")
		if f.Key == "" && (out.results == nil || out.results.failed == nil) {
			c.fail(path, "failures needs key: where in a failure the record's key is")
		}
		out.failures = &failures{list: c.pointer(path.of("list"), f.List), key: c.pointer(path.of("key"), f.Key),
			code: c.pointerOr(path.of("code"), f.Code, ""), message: c.pointerOr(path.of("message"), f.Message, "")}
	}
	return out
}

// Batch is what the configuration says of the record type.
func (c *Connection) Batch(recordType string) connector.Batch {
	r, err := c.of(recordType)
	if err != nil || r.batch == nil {
		return connector.Batch{}
	}
	return connector.Batch{Most: r.batch.most}
}

// Apply makes the changes, all of one action, in one request.
func (c *Connection) Apply(ctx context.Context, recordType string, all []connector.Change) ([]connector.Result, error) {
	r, err := c.of(recordType)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, nil
	}
	q := r.batchFor(all[0].Action)
	if q == nil || slices.ContainsFunc(all, func(x connector.Change) bool { return x.Action != all[0].Action }) {
		return nil, rejected(fmt.Errorf("the configuration has no batch for these changes of %s", recordType))
	}
	keys := make([]string, len(all))
	list := make([]any, len(all))
	for i, x := range all {
		if err := r.nameable(x.Record); err != nil {
			return nil, err
		}
		s := c.scopeOf(r, q.verb, x.Record, x.RemoteID)
		if list[i], err = q.change.tree(s); err == nil {
			keys[i], err = q.match.render(s, nil)
		}
		if err != nil {
			return nil, rejected(fmt.Errorf("the change of %q: %w", x.Record.ExternalID, err))
		}
	}
	s := c.scopeOf(r, q.verb, connector.Record{Type: recordType}, "")
	s[changes] = list
	a, fail := c.do(ctx, q.request, s, identity(q.verb, all...))
	if fail != nil {
		return nil, fail
	}
	return c.outcomes(r, q, a, all, keys), nil
}

func (r *recordAPI) batchFor(a connector.Action) *batchRequest {
	if r.batch == nil {
		return nil
	}
	return [...]*batchRequest{r.batch.create, r.batch.update, r.batch.remove}[a]
}

// outcomes matches an answer's parts to the changes. What it says nothing of
// is unknown, and so is what it says two things of.
func (c *Connection) outcomes(r *recordAPI, q *batchRequest, a *answer, all []connector.Change, keys []string) []connector.Result {
	o := &matching{results: make([]connector.Result, len(all)), told: make([]int, len(all)), byKey: map[string]int{}}
	for i, k := range keys {
		if _, twice := o.byKey[k]; twice {
			k = "" // two changes with one key can't be told apart
		}
		o.byKey[k] = i
	}
	delete(o.byKey, "")
	c.failed(q, a, o)
	silent := fmt.Sprintf("the answer says nothing of this record (%d of %d told)", len(o.byKey), len(all))
	if q.results != nil {
		c.succeeded(r, q, a, all, o)
	} else if o.stray {
		silent = "the answer tells of a failure, and not which of the records sent has it"
	} else {
		for i := range all { // no news is good news
			if o.told[i] == 0 {
				o.told[i]++
				o.results[i] = connector.Result{RemoteID: keep(q, all[i])}
			}
		}
	}
	for i, n := range o.told {
		switch n {
		case 0:
			o.results[i] = connector.Result{Err: &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: silent}}
		case 1:
		default:
			o.results[i] = connector.Result{Err: &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "the answer says two things of this record"}}
		}
	}
	return o.results
}

// matching is what is known of each change so far.
type matching struct {
	results []connector.Result
	told    []int // how often the answer spoke of the change
	byKey   map[string]int
	stray   bool // a failure is told that is of no change in particular
}

func (o *matching) tell(i int, r connector.Result) {
	o.results[i] = r
	o.told[i]++
}

func keep(q *batchRequest, x connector.Change) string {
	if q.id.external && x.RemoteID == "" {
		return x.Record.ExternalID
	}
	return x.RemoteID
}

// failed reads the list of failures.
func (c *Connection) failed(q *batchRequest, a *answer, o *matching) {
	f := q.failures
	if f == nil || len(f.key) == 0 {
		return
	}
	found, _ := f.list.in(a.doc)
	items, isList := found.([]any)
	o.stray = !isList && !isNone(found)
	for _, item := range items {
		err := c.failure(q, a, item)
		keys, _ := f.key.in(item)
		several, ok := keys.([]any)
		if !ok || len(several) == 0 {
			several = []any{keys}
		}
		for _, k := range several {
			if i, ok := o.byKey[(pointer{}).textIn(k)]; ok {
				o.tell(i, connector.Result{Err: err})
			} else {
				o.stray = true
			}
		}
	}
}

// isNone says whether what stands where failures would says that there are none.
func isNone(v any) bool {
	object, isObject := v.(map[string]any)
	return v == nil || v == false || v == "" || isObject && len(object) == 0 || (pointer{}).textIn(v) == "0"
}

// failure is the error of one element. The status of the answer as a whole
// says nothing of it.
func (c *Connection) failure(q *batchRequest, a *answer, item any) *connector.Error {
	var code, message pointer
	if q.failures != nil {
		code, message = q.failures.code, q.failures.message
	}
	p := c.part(a, item, code, message)
	for _, r := range slices.Concat(q.rules, c.errors.rules) {
		if len(r.Status) == 0 && r.fitsPart(q.verb, p) {
			return c.refusal(q.request, p, r.kind)
		}
	}
	return c.refusal(q.request, p, connector.Rejected)
}

// fitsPart is fits whatever the answer's status.
func (r *rule) fitsPart(v verb, p *answer) bool {
	whole := *p.Answer
	whole.Status = http.StatusBadRequest
	x := *p
	x.Answer = &whole
	return !r.success && r.fits(v, &x)
}

// succeeded reads the list of results.
func (c *Connection) succeeded(r *recordAPI, q *batchRequest, a *answer, all []connector.Change, o *matching) {
	found, _ := q.results.list.in(a.doc)
	items, _ := found.([]any)
	if q.results.byPosition && (len(items) != len(all) || q.displaced(items, all)) {
		return // nobody knows which is whose
	}
	made := map[string]int{}
	for n, item := range items {
		i := n
		if !q.results.byPosition {
			var ok bool
			if i, ok = o.byKey[q.results.key.textIn(item)]; !ok {
				continue
			}
		}
		result := c.outcome(r, q, a, item, all[i])
		if result.Err == nil && q.verb == creating {
			if other, twice := made[result.RemoteID]; twice && other != i {
				o.told[other]++ // one record is not two: which it is, a look tells
				o.told[i]++
			}
			made[result.RemoteID] = i
		}
		o.tell(i, result)
	}
}

// displaced says whether a result is where another change's belongs: by its id,
// which an answer need not have.
func (q *batchRequest) displaced(items []any, all []connector.Change) bool {
	if q.verb == creating || q.id.external {
		return false // the ids of the answer are not those that we know
	}
	at := map[string]int{}
	for i, x := range all {
		at[x.RemoteID] = i
	}
	for n, item := range items {
		if i, ours := at[q.results.id.textIn(item)]; ours && i != n {
			return true
		}
	}
	return false
}

// outcome is what one element of the results says.
func (c *Connection) outcome(r *recordAPI, q *batchRequest, a *answer, item any, x connector.Change) connector.Result {
	if q.results.failed != nil {
		if mark, _ := q.results.failed.in(item); mark != nil && mark != false && mark != "" {
			return connector.Result{Err: c.failure(q, a, item)}
		}
	}
	id := keep(q, x)
	if q.id.external && r.byUpsert && q.verb == updating {
		if err := r.sameRecord(a, item, x.RemoteID, x.RemoteID); err != nil {
			return connector.Result{Err: err}
		}
	}
	if !q.id.external {
		got := q.results.id.textIn(item)
		if q.verb == creating {
			if id = got; id == "" {
				return connector.Result{Err: unexpected(a, "a result without an id")}
			}
		} else if r.byUpsert && q.verb == updating {
			if err := r.sameRecord(a, item, got, x.RemoteID); err != nil {
				return connector.Result{Err: err}
			}
		}
	}
	return connector.Result{RemoteID: id}
}
