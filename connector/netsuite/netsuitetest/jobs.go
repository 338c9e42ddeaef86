package netsuitetest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// jobs are the requests that were sent with Prefer: respond-async.
type jobs struct {
	mu    sync.Mutex
	byID  map[string]*job
	byKey map[string]string // idempotency key -> job id
}

type job struct {
	id    string
	tasks []*task
}

type task struct {
	call           *call
	path           []string
	started, ended time.Time
	result         *reply
}

const batchSize = 100

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func isAsync(c *call) bool { return prefers(c, "respond-async") }

func isBatch(c *call, path []string) bool {
	return len(path) == 1 && (c.param("ids") != "" || c.method != http.MethodGet &&
		strings.Contains(strings.ReplaceAll(c.request.Header.Get("Content-Type"), " ", ""), "type=collection"))
}

// startJob takes a request to perform it later. The idempotency key counts
// here only; on a request that is answered at once it is ignored. How long a
// key is kept is not documented: here, as long as the server lives.
func (s *Server) startJob(c *call, path []string) (*reply, *apiError) {
	if s.schema[lower(path[0])] == nil {
		return s.serveRecords(c, path)
	}
	j := &job{tasks: []*task{{call: later(c), path: path}}}
	if isBatch(c, path) {
		var err *apiError
		if j.tasks, err = batch(c, path[0]); err != nil {
			return nil, err
		}
	}
	const header = "X-NetSuite-Idempotency-Key"
	key := c.request.Header.Get(header)
	if key != "" && !uuid.MatchString(key) {
		return nil, errHeader(header, "Invalid value of the header. Provide a UUID.")
	}
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	root := c.root + "/async/v1/job/"
	if first, ok := s.jobs.byKey[key]; ok && key != "" {
		return nil, &apiError{status: 400, title: "Conflict", code: "IDEMPOTENCY_ERROR", header: header, location: root + first,
			detail: "A request with this idempotency key has been received already."}
	}
	j.id = strconv.Itoa(len(s.jobs.byID) + 1)
	s.jobs.byID[j.id] = j
	if key != "" {
		s.jobs.byKey[key] = j.id
	}
	s.faults.Background(func() { s.runJob(j) })
	r := newReply(http.StatusAccepted)
	r.header.Set("Preference-Applied", "respond-async")
	r.header.Set("Location", root+j.id)
	return r, nil
}

// later is a copy of a call that no connection ends.
func later(c *call) *call {
	own := *c
	own.request = c.request.WithContext(context.Background())
	return &own
}

// runJob performs the tasks one after the other, as a batch does by default.
func (s *Server) runJob(j *job) {
	for _, t := range j.tasks {
		if s.faults.Closed() {
			return
		}
		s.jobs.mu.Lock()
		t.started = s.now()
		s.jobs.mu.Unlock()
		r, err := s.serveRecords(t.call, t.path)
		if err != nil {
			r = err.reply()
		}
		if t.call.applied {
			s.stats.wrote(t.call)
		}
		s.jobs.mu.Lock()
		t.ended, t.result = s.now(), r
		s.jobs.mu.Unlock()
	}
}

// batch cuts a collection request in one task for each record.
func batch(c *call, typ string) ([]*task, *apiError) {
	var ids []string
	var bodies [][]byte
	switch c.method {
	case http.MethodGet, http.MethodDelete:
		for _, id := range strings.Split(c.param("ids"), ",") {
			ids, bodies = append(ids, strings.TrimSpace(id)), append(bodies, nil)
		}
	default:
		body, err := object(c)
		if err != nil {
			return nil, err
		}
		items, ok := body["items"].([]any)
		if !ok {
			return nil, errContent("items", "Invalid content in the request body. Provide the records in the property items.")
		}
		for i, x := range items {
			item, ok := x.(map[string]any)
			id, external := "", ""
			if ok {
				id, _ = scalarID(item["id"], "")
				external, _ = item["externalId"].(string)
			}
			if !ok || c.method == http.MethodPut && external == "" || c.method == http.MethodPatch && id+external == "" {
				return nil, errContent("items["+strconv.Itoa(i)+"]", "Invalid content in the request body. A record lacks its id.")
			}
			switch {
			case c.method == http.MethodPost:
				id = ""
			case c.method == http.MethodPut || id == "":
				id = "eid:" + external
			}
			raw, bad := json.Marshal(item)
			if bad != nil {
				return nil, errContent("items", bad.Error())
			}
			ids, bodies = append(ids, id), append(bodies, raw)
		}
	}
	if len(ids) > batchSize {
		return nil, errContent("items", "Invalid content in the request body. A batch holds at most 100 records.")
	}
	var out []*task
	for i, id := range ids {
		own := later(c)
		own.body, own.path = bodies[i], c.path
		own.op = map[string]string{"POST": "create", "PATCH": "update", "PUT": "upsert", "DELETE": "delete", "GET": "read"}[c.method]
		path := []string{typ}
		if id != "" {
			path = append(path, id)
			own.path += "/" + url.PathEscape(id)
		}
		out = append(out, &task{call: own, path: path})
	}
	return out, nil
}

// serveJob answers GET on /async/v1/job/{id}[/task[/{n}[/result]]].
func (s *Server) serveJob(c *call, path []string) (*reply, *apiError) {
	if c.method != http.MethodGet {
		return nil, errMethod(c)
	}
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	if len(path) == 0 || s.jobs.byID[path[0]] == nil || len(path) > 4 || len(path) > 1 && path[1] != "task" || len(path) > 3 && path[3] != "result" {
		return nil, errNonexistent(c)
	}
	j := s.jobs.byID[path[0]]
	href := c.root + "/async/v1/job/" + j.id
	switch len(path) {
	case 1:
		// Of the words for progress only "pending" and "succeeded" are
		// documented; a task whose request was refused has "failed".
		done, progress := true, "succeeded"
		for _, t := range j.tasks {
			if t.result == nil {
				done, progress = false, "pending"
			}
		}
		return jsonReply(http.StatusOK, mediaSingular, map[string]any{"links": self(href), "id": j.id, "completed": done, "progress": progress,
			"task": map[string]any{"links": self(href + "/task")}}), nil
	case 2:
		items := []any{}
		for i := range j.tasks {
			n := strconv.Itoa(i + 1)
			items = append(items, map[string]any{"links": self(href + "/task/" + n), "id": n})
		}
		return jsonReply(http.StatusOK, mediaCollection, map[string]any{"links": self(href + "/task"), "items": items,
			"count": len(items), "hasMore": false, "offset": 0, "totalResults": len(items)}), nil
	}
	n, err := strconv.Atoi(path[2])
	if err != nil || n < 1 || n > len(j.tasks) || len(path) == 4 && j.tasks[n-1].result == nil {
		return nil, errNonexistent(c)
	}
	t := j.tasks[n-1]
	if len(path) == 4 {
		return &reply{status: t.result.status, header: t.result.header.Clone(), body: t.result.body}, nil
	}
	href += "/task/" + path[2]
	out := map[string]any{"links": append(self(href), map[string]string{"rel": "related", "href": href + "/result"}), "id": path[2],
		"completed": t.result != nil, "progress": "pending"}
	if !t.started.IsZero() {
		out["startTime"] = t.started.UTC().Format(time.RFC3339)
	}
	if t.result != nil {
		out["progress"], out["endTime"] = "succeeded", t.ended.UTC().Format(time.RFC3339)
		if t.result.status >= 400 {
			out["progress"] = "failed"
		}
	}
	return jsonReply(http.StatusOK, mediaSingular, out), nil
}
