package salesforcetest

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// jobs are the ingest jobs of Bulk API 2.0.
type jobs struct {
	mu   sync.Mutex
	byID map[string]*job
	last int
	held bool
	dice *mathrand.Rand
}

type job struct {
	id, operation, key string
	object             *object
	lineEnding         string
	state              string
	message            string
	created            time.Time
	data               []byte
	header             []string
	rows               []*jobRow
	processed, failed  int
}

type jobRow struct {
	cells   []string
	done    bool
	id      string
	created bool
	err     *apiError
}

// HoldJobs keeps jobs from running until it is called with false.
func (s *Server) HoldJobs(held bool) {
	s.jobs.mu.Lock()
	s.jobs.held = held
	var waiting []*job
	for _, j := range s.jobs.byID {
		if !held && j.state == "UploadComplete" {
			waiting = append(waiting, j)
		}
	}
	s.jobs.mu.Unlock()
	for _, j := range waiting {
		s.faults.Background(func() { s.runJob(j) })
	}
}

// ForgetJobs removes all jobs, as the org does after seven days.
func (s *Server) ForgetJobs() {
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	clear(s.jobs.byID)
}

// Jobs lists the jobs by id, with their state.
func (s *Server) Jobs() map[string]string {
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	out := map[string]string{}
	for id, j := range s.jobs.byID {
		out[id] = j.state
	}
	return out
}

func (s *Server) serveJobs(c *call) (*reply, *apiError) {
	if c.at(4) != "ingest" || len(c.segments) > 7 {
		return nil, errNotFound()
	}
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	if len(c.segments) == 5 {
		if c.method != http.MethodPost {
			return nil, errMethod(c)
		}
		return s.newJob(c)
	}
	j := s.jobs.byID[c.at(5)]
	if j == nil {
		return nil, errNotFound()
	}
	c.typ = j.object.Name
	if len(c.segments) == 7 {
		return s.jobPart(c, j, c.at(6))
	}
	switch c.method {
	case http.MethodGet:
		return jsonReply(200, j.info(c)), nil
	case http.MethodPatch:
		return s.moveJob(c, j)
	case http.MethodDelete:
		if j.state == "Open" || j.state == "UploadComplete" || j.state == "InProgress" {
			return nil, refuse("API_ERROR", "Error encountered when deleting the job because the job is not terminated")
		}
		delete(s.jobs.byID, j.id)
		return newReply(204), nil
	}
	return nil, errMethod(c)
}

func (s *Server) newJob(c *call) (*reply, *apiError) {
	var q struct {
		Object, Operation, ExternalIDFieldName, ContentType, LineEnding string
	}
	if err := json.Unmarshal(c.body, &q); err != nil {
		return nil, refuse("JSON_PARSER_ERROR", "The request body is no JSON object.")
	}
	o := s.visible(q.Object)
	switch {
	case o == nil:
		return nil, refuse("INVALIDENTITY", "Entity '"+cut(q.Object)+"' is not supported by Bulk API v2.0.")
	case q.Operation != "insert" && q.Operation != "update" && q.Operation != "upsert" && q.Operation != "delete":
		return nil, refuse("INVALIDJOB", "Invalid operation: "+cut(q.Operation))
	case q.ContentType != "" && q.ContentType != "CSV", q.LineEnding != "" && q.LineEnding != "LF" && q.LineEnding != "CRLF":
		return nil, refuse("INVALIDJOB", "Invalid content type or line ending")
	}
	if q.Operation == "upsert" {
		if key := o.field(q.ExternalIDFieldName); key == nil || !key.lookup() {
			return nil, refuse("INVALIDJOB", "InvalidJob : Field name not found : "+cut(q.ExternalIDFieldName))
		}
	}
	c.typ = o.Name
	s.jobs.last++
	short := "7505g000" + base62(s.jobs.last)
	j := &job{id: short + checksum(short), operation: q.Operation, key: q.ExternalIDFieldName, object: o, lineEnding: q.LineEnding, state: "Open", created: s.now()}
	s.jobs.byID[j.id] = j
	return jsonReply(200, j.info(c)), nil
}

func (j *job) info(c *call) map[string]any {
	return map[string]any{
		"id": j.id, "object": j.object.Name, "operation": j.operation, "externalIdFieldName": j.key, "state": j.state, "contentType": "CSV",
		"apiVersion": 68.0, "jobType": "V2Ingest", "lineEnding": "LF", "columnDelimiter": "COMMA", "concurrencyMode": "Parallel",
		"createdDate": j.created.UTC().Format(datetimeForm), "contentUrl": strings.TrimPrefix(c.path, "/")[:len("services/data/v68.0")] + "/jobs/ingest/" + j.id + "/batches",
		"numberRecordsProcessed": j.processed, "numberRecordsFailed": j.failed, "errorMessage": j.message, "retries": 0,
	}
}

// moveJob changes a job's state: UploadComplete starts it, Aborted ends it.
func (s *Server) moveJob(c *call, j *job) (*reply, *apiError) {
	var q struct{ State string }
	if err := json.Unmarshal(c.body, &q); err != nil {
		return nil, refuse("JSON_PARSER_ERROR", "The request body is no JSON object.")
	}
	over := j.state == "JobComplete" || j.state == "Failed" || j.state == "Aborted"
	switch {
	case q.State == "UploadComplete" && j.state == "Open":
		j.state = "UploadComplete"
		if !s.jobs.held {
			s.faults.Background(func() { s.runJob(j) })
		}
	case q.State == "Aborted" && !over:
		j.state = "Aborted"
	default:
		return nil, refuse("INVALIDJOBSTATE", "Job state "+j.state+" can't be changed to "+cut(q.State))
	}
	return jsonReply(200, j.info(c)), nil
}

func (s *Server) jobPart(c *call, j *job, part string) (*reply, *apiError) {
	if part == "batches" {
		if c.method != http.MethodPut {
			return nil, errMethod(c)
		}
		switch {
		case j.state != "Open" || j.data != nil:
			return nil, refuse("INVALIDJOBSTATE", "Data was uploaded already, or the job is "+j.state)
		case !strings.HasPrefix(c.request.Header.Get("Content-Type"), "text/csv"):
			return nil, &apiError{status: 415, code: "UNSUPPORTED_MEDIA_TYPE", message: "The content type must be text/csv"}
		}
		j.data = c.body
		return newReply(201), nil
	}
	if c.method != http.MethodGet {
		return nil, errMethod(c)
	}
	if j.state != "JobComplete" && j.state != "Failed" && j.state != "Aborted" {
		return nil, refuse("INVALIDJOBSTATE", "The job is "+j.state)
	}
	before := map[string][]string{"successfulResults": {"sf__Id", "sf__Created"}, "failedResults": {"sf__Id", "sf__Error"}, "unprocessedrecords": nil}
	columns, ok := before[part]
	if !ok {
		return nil, errNotFound()
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(append(append([]string{}, columns...), j.header...))
	for _, i := range s.jobs.dice.Perm(len(j.rows)) { // in no order at all
		row := j.rows[i]
		cells := row.cells
		switch {
		case part == "successfulResults" && row.done && row.err == nil:
			cells = append([]string{row.id, strconv.FormatBool(row.created)}, cells...)
		case part == "failedResults" && row.done && row.err != nil:
			cells = append([]string{row.id, row.err.code + ":" + row.err.message + ":" + strings.Join(row.err.fields, " ") + " --"}, cells...)
		case part == "unprocessedrecords" && !row.done:
		default:
			continue
		}
		_ = w.Write(cells)
	}
	w.Flush()
	r := newReply(200)
	r.header.Set("Content-Type", "text/csv")
	r.body = b.Bytes()
	return r, nil
}

// runJob is the org's own doing.
func (s *Server) runJob(j *job) {
	s.jobs.mu.Lock()
	if j.state != "UploadComplete" {
		s.jobs.mu.Unlock()
		return
	}
	j.state = "InProgress"
	stop := s.faults.StrikeJob(j.object.Name)
	err := s.readJob(j)
	s.jobs.mu.Unlock()
	if err != nil {
		s.endJob(j, "Failed", err.Error())
		return
	}
	var overload *apiError // of these 200 rows, which are one transaction
	for i, row := range j.rows {
		if i%mostRows == 0 {
			overload = s.overload(j.object.Name, j.operation, min(mostRows, len(j.rows)-i))
		}
		if stop != nil && i >= stop.Skip {
			s.endJob(j, "Failed", "InternalServerError : the job failed after too many tries")
			return
		}
		s.jobs.mu.Lock()
		running := j.state == "InProgress" && !s.faults.Closed()
		s.jobs.mu.Unlock()
		if !running {
			return
		}
		id, created, err := "", false, overload
		if overload == nil {
			id, created, err = s.runRow(j, row)
		}
		s.jobs.mu.Lock()
		row.done, row.id, row.created, row.err = true, id, created, err
		j.processed++
		if err != nil {
			j.failed++
		}
		s.jobs.mu.Unlock()
	}
	s.endJob(j, "JobComplete", "")
}

func (s *Server) endJob(j *job, state, message string) {
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	if j.state == "InProgress" {
		j.state, j.message = state, message
	}
}

// readJob reads the data. A header that names no field fails the whole job.
func (s *Server) readJob(j *job) error {
	if crlf := j.lineEnding == "CRLF"; !crlf && bytes.ContainsRune(j.data, '\r') || crlf && bytes.Count(j.data, []byte("\n")) != bytes.Count(j.data, []byte("\r\n")) {
		return fmt.Errorf("ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is %s", cmp.Or(j.lineEnding, "LF"))
	}
	lines, err := csv.NewReader(bytes.NewReader(j.data)).ReadAll()
	if err != nil || len(lines) == 0 {
		return fmt.Errorf("InvalidBatch : Failed to parse CSV header or rows")
	}
	j.header = lines[0]
	for _, name := range j.header {
		first, rest, nested := strings.Cut(name, ".")
		ref := j.object.relationships[strings.ToLower(first)]
		switch {
		case !nested && j.object.field(name) != nil:
		case nested && ref != nil && rest != "":
		default:
			return fmt.Errorf("InvalidBatch : Field name not found : %s", cut(name))
		}
		if j.operation == "delete" && !strings.EqualFold(name, "Id") {
			return fmt.Errorf("InvalidBatch : delete takes the column Id and no other")
		}
	}
	for _, line := range lines[1:] {
		j.rows = append(j.rows, &jobRow{cells: line})
	}
	return nil
}

// runRow applies one row. A cell that is empty changes nothing, #N/A clears.
func (s *Server) runRow(j *job, row *jobRow) (id string, created bool, err *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, key := map[string]any{}, ""
	for i, name := range j.header {
		cell := row.cells[i]
		first, rest, nested := strings.Cut(name, ".")
		switch {
		case cell == "":
		case strings.EqualFold(name, j.key), strings.EqualFold(name, "Id"):
			key = cell
		case nested && cell == "#N/A":
			body[j.object.relationships[strings.ToLower(first)].Name] = nil
		case nested:
			body[first] = map[string]any{rest: cell}
		case cell == "#N/A":
			body[name] = nil
		default:
			body[name] = jobValue(j.object.field(name), cell)
		}
	}
	if err := s.rowFault(j.object.Name, j.operation, key); err != nil {
		return "", false, err
	}
	c := &call{request: &http.Request{Header: http.Header{}}}
	if !s.seen(j.object) && (j.operation == "insert" || j.operation == "upsert") {
		return "", false, errType(j.object.Name)
	}
	switch j.operation {
	case "insert":
		r, err := s.writeRecord(c, j.object, nil, body)
		if err != nil {
			return "", false, err
		}
		return r.id, true, nil
	case "upsert":
		return s.upsertJobRow(c, j, key, body)
	}
	r, err := s.named(j.object, key)
	if err != nil {
		return "", false, err
	}
	if j.operation == "delete" {
		if err = s.remove(r); err == nil {
			s.wrote(c, j.object, "delete")
		}
	} else {
		_, err = s.writeRecord(c, j.object, r, body)
	}
	return r.id, false, err
}

func (s *Server) upsertJobRow(c *call, j *job, key string, body map[string]any) (string, bool, *apiError) {
	r, created, several, err := s.upsert(j.object, j.object.field(j.key), key, body, false, false)
	if several != nil {
		err = refuse("DUPLICATE_EXTERNAL_ID", "more than one record found for external id field")
	}
	if err != nil {
		return "", false, err
	}
	action := "update"
	if created {
		action = "create"
	}
	s.wrote(c, j.object, action)
	return r.id, created, nil
}

// jobValue is the JSON value that a cell stands for.
func jobValue(f *Field, cell string) any {
	switch f.Type {
	case "boolean":
		if b, err := strconv.ParseBool(cell); err == nil {
			return b
		}
	case "double", "currency", "int":
		if _, err := strconv.ParseFloat(cell, 64); err == nil {
			return json.Number(cell)
		}
	}
	return cell
}
