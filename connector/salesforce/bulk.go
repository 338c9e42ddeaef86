package salesforce

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep/connector"
)

const (
	// mostInJob keeps a job's results and data in proportion. Salesforce itself
	// works in batches of 10,000.
	mostInJob = 50_000
	// mostBytes is what Salesforce advises: its limit of 150 MB is of the data
	// in base64.
	mostBytes = 100_000_000
	// mostInCell is the most characters of a field in a job.
	mostInCell = 32_000
	pollEvery  = 10 * time.Second
	jobsPath   = "/jobs/ingest"
	// clear is the cell that makes a field null; an empty one leaves it.
	clearCell = "#N/A"
)

// Bulk says from how many changes on a job of Bulk API 2.0 is worthwhile.
func (c *Connection) Bulk(string) connector.Bulk {
	if c.config.BulkFrom < 0 {
		return connector.Bulk{}
	}
	return connector.Bulk{From: c.config.BulkFrom, Most: mostInJob, Poll: pollEvery}
}

// Carries tells whether a change can be a row of CSV: the text #N/A would clear
// the field, a carriage return breaks the lines, and a reference to one of
// several types has no column.
func (c *Connection) Carries(recordType string, ch connector.Change) bool {
	if nameable(recordType, ch.Record.ExternalID) != nil && ch.Action == connector.Create ||
		ch.Action != connector.Create && !recordID.MatchString(ch.RemoteID) || ch.Record.ExternalID == clearCell {
		return false
	}
	for name, raw := range ch.Record.Fields {
		v, err := encodeValue(name, raw)
		if err != nil || !apiName.MatchString(name) || strings.EqualFold(name, "Id") {
			return false
		}
		if v[0] != '{' {
			if cell := cellOf(v); cell == clearCell && string(v) != "null" && string(v) != `""` || !carried(cell) {
				return false
			}
			continue
		}
		ref := map[string]json.RawMessage{}
		if json.Unmarshal(v, &ref) != nil || len(ref) != 1 {
			return false
		}
		for _, x := range ref {
			if cell := cellOf(x); cell == clearCell || !carried(cell) {
				return false
			}
		}
	}
	return true
}

func carried(cell string) bool {
	return !strings.ContainsAny(cell, "\r\x00") && utf8.RuneCountInString(cell) <= mostInCell
}

// cellOf is a plain JSON value in CSV.
func cellOf(v json.RawMessage) string {
	var s string
	switch {
	case string(v) == "null":
		return clearCell
	case v[0] != '"':
		return string(v)
	case json.Unmarshal(v, &s) != nil || s == "":
		return clearCell // there is no empty text beside null
	}
	return s
}

var operations = map[connector.Action]string{connector.Create: "upsert", connector.Update: "update", connector.Delete: "delete"}

// StartJob makes an ingest job that is open: creates are upserts by external
// id, updates and deletes go by id.
func (c *Connection) StartJob(ctx context.Context, recordType string, action connector.Action) (string, error) {
	if !apiName.MatchString(recordType) {
		return "", rejected("%q is not a record type", recordType)
	}
	q := map[string]string{"object": recordType, "operation": operations[action], "contentType": "CSV", "lineEnding": "LF"}
	if action == connector.Create {
		q["externalIdFieldName"] = c.config.externalField(recordType)
	}
	body, err := encodeJSON(q)
	if err != nil {
		return "", rejected("the job can't be encoded: %v", err)
	}
	a, fail := c.do(ctx, request{verb: examine, method: http.MethodPost, path: jobsPath, body: body})
	if fail != nil {
		if fail.Kind == connector.NotFound || fail.Kind == connector.Exists {
			fail.Kind = connector.Rejected
		}
		return "", fail
	}
	var got jobInfo
	if json.Unmarshal(a.Body, &got) != nil || !recordID.MatchString(got.ID) {
		return "", unexpected(a)
	}
	return got.ID, nil
}

// RunJob uploads the changes as CSV, made as it is sent, and starts the job.
func (c *Connection) RunJob(ctx context.Context, job, recordType string, action connector.Action, changes []connector.Change) error {
	if !recordID.MatchString(job) {
		return rejected("%q is not the id of a job", job)
	}
	table, err := c.table(ctx, recordType, action, changes)
	if err != nil {
		return err
	}
	size, fail := io.Copy(io.Discard, table.reader())
	if fail != nil {
		return rejected("the data of the job can't be encoded: %v", fail)
	}
	if size > c.mostUpload {
		return rejected("the data of the job has %d bytes, and Salesforce takes %d: send fewer records in one", size, c.mostUpload)
	}
	a, err := c.do(ctx, request{verb: examine, method: http.MethodPut, path: jobsPath + "/" + job + "/batches", upload: table.reader, size: size})
	if err != nil {
		if err.Kind == connector.Unknown {
			// It is not told to run before the next request.
			err.Kind, err.Message = connector.Unavailable, "the upload of the job broke, and it was not started: "+err.Message
		}
		return noRecord(err)
	}
	if a.Status != http.StatusCreated { // a portal says 200 to everything
		e := unexpected(a)
		e.Kind = connector.Unavailable
		return e
	}
	return c.moveJob(ctx, job, "UploadComplete")
}

// noRecord: a job's errors name no record.
func noRecord(err *connector.Error) *connector.Error {
	if err.Kind == connector.NotFound || err.Kind == connector.Exists {
		err.Kind = connector.Rejected
	}
	return err
}

// moveJob changes a job's state.
func (c *Connection) moveJob(ctx context.Context, job, state string) error {
	a, err := c.do(ctx, request{verb: examine, method: http.MethodPatch, path: jobsPath + "/" + job, body: []byte(`{"state":"` + state + `"}`)})
	if err != nil {
		return noRecord(err)
	}
	var got jobInfo
	if json.Unmarshal(a.Body, &got) != nil || got.ID == "" || got.State == "" {
		return unexpected(a)
	}
	return nil
}

// jobInfo is what Salesforce says of a job.
type jobInfo struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
	State     string `json:"state"`
	Processed int    `json:"numberRecordsProcessed"`
	Failed    int    `json:"numberRecordsFailed"`
	Message   string `json:"errorMessage"`
}

var states = map[string]connector.JobState{
	"Open": connector.JobOpen, "UploadComplete": connector.JobRunning, "InProgress": connector.JobRunning,
	"JobComplete": connector.JobDone, "Failed": connector.JobEnded, "Aborted": connector.JobEnded,
}

func (c *Connection) job(ctx context.Context, job string) (jobInfo, connector.JobState, *connector.Error) {
	var got jobInfo
	if !recordID.MatchString(job) {
		return got, 0, &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("%q is not the id of a job", job)}
	}
	a, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: jobsPath + "/" + job})
	if err != nil {
		return got, 0, err
	}
	state, known := connector.JobOpen, false
	if json.Unmarshal(a.Body, &got) == nil && sameID(got.ID, job) {
		state, known = states[got.State]
	}
	if !known {
		return got, 0, unexpected(a)
	}
	return got, state, nil
}

// PollJob tells how a job is.
func (c *Connection) PollJob(ctx context.Context, job string) (connector.Job, error) {
	got, state, err := c.job(ctx, job)
	if err != nil {
		return connector.Job{}, err
	}
	return connector.Job{State: state, Processed: got.Processed, Failed: got.Failed, Message: got.Message}, nil
}

// AbortJob ends a job that is not over.
func (c *Connection) AbortJob(ctx context.Context, job string) error {
	err := c.moveJob(ctx, job, "Aborted")
	if err == nil || connector.KindOf(err) != connector.Rejected {
		return err
	}
	_, state, missing := c.job(ctx, job)
	switch {
	case missing != nil && missing.Kind == connector.NotFound, missing == nil && state.Over():
		return nil
	case missing != nil:
		return missing
	}
	return err
}

// table is changes as CSV.
type table struct {
	header []string
	rows   func(i int) ([]string, error)
	n      int
}

// table lays the columns out: all fields that any change has. A change leaves
// the cells of fields that it does not have empty, which changes nothing.
func (c *Connection) table(ctx context.Context, recordType string, action connector.Action, changes []connector.Change) (*table, *connector.Error) {
	key := "Id"
	if action == connector.Create {
		key = c.config.externalField(recordType)
	}
	names := map[string]bool{}
	for _, ch := range changes {
		if ch.Action != action || !c.Carries(recordType, ch) {
			return nil, rejected("a job of Salesforce can't carry the change of %q", ch.Record.ExternalID)
		}
		if err := c.columns(ctx, recordType, ch, names); err != nil {
			return nil, err
		}
	}
	columns := slices.Sorted(maps.Keys(names))
	rows := func(i int) ([]string, error) {
		ch := changes[i]
		line := make([]string, 1, len(columns)+1)
		if line[0] = ch.RemoteID; action == connector.Create {
			line[0] = ch.Record.ExternalID
		}
		cells, err := c.cells(ctx, recordType, ch)
		if err != nil {
			return nil, err
		}
		for _, name := range columns {
			line = append(line, cells[name])
		}
		return line, nil
	}
	return &table{header: append([]string{key}, columns...), rows: rows, n: len(changes)}, nil
}

// columns adds the columns that a change needs.
func (c *Connection) columns(ctx context.Context, recordType string, ch connector.Change, names map[string]bool) *connector.Error {
	for name, raw := range ch.Record.Fields {
		var ref map[string]json.RawMessage
		switch raw = bytes.TrimSpace(raw); {
		case strings.EqualFold(name, c.config.externalField(recordType)), ch.Action == connector.Delete:
		case string(raw) == "null":
			field, err := c.idField(ctx, recordType, name)
			if err != nil {
				return err
			}
			names[field] = true
		case raw[0] == '{' && json.Unmarshal(raw, &ref) == nil:
			for inner := range ref {
				names[name+"."+inner] = true
			}
		default:
			names[name] = true
		}
	}
	return nil
}

// cells are a change's fields by column.
func (c *Connection) cells(ctx context.Context, recordType string, ch connector.Change) (map[string]string, *connector.Error) {
	if ch.Action == connector.Delete {
		return nil, nil
	}
	r := ch.Record
	r.Type = recordType
	fields, err := c.encode(ctx, r)
	if err != nil {
		return nil, err
	}
	cells := make(map[string]string, len(fields))
	for name, v := range fields {
		if v[0] != '{' {
			cells[name] = cellOf(v)
			continue
		}
		var ref map[string]json.RawMessage
		if json.Unmarshal(v, &ref) != nil {
			return nil, rejected("field %s is not a reference", name)
		}
		for inner, x := range ref {
			cells[name+"."+inner] = cellOf(x)
		}
	}
	return cells, nil
}

// reader makes the CSV line by line, as it is read.
func (t *table) reader() io.Reader {
	r := &lines{table: t, next: -1}
	r.csv = csv.NewWriter(&r.buffer)
	return r
}

type lines struct {
	*table
	next   int // -1: the header
	buffer bytes.Buffer
	csv    *csv.Writer
}

func (r *lines) Read(p []byte) (int, error) {
	for r.buffer.Len() < len(p) && r.next < r.n {
		line := r.header
		if r.next >= 0 {
			var err error
			if line, err = r.rows(r.next); err != nil {
				return 0, err
			}
		}
		r.next++
		if err := r.csv.Write(line); err != nil {
			return 0, err
		}
		r.csv.Flush()
	}
	return r.buffer.Read(p)
}

// JobResults reads the three lists of a job that is over. Their order is not
// that of the upload: a row is known by its external id, or by its id.
func (c *Connection) JobResults(ctx context.Context, job, recordType string, each func(connector.JobResult) error) error {
	info, state, err := c.job(ctx, job)
	switch {
	case err != nil:
		return err
	case !state.Over():
		return &connector.Error{Kind: connector.Busy, Message: "the job is not over"}
	}
	v := map[string]verb{"upsert": create, "update": update, "delete": remove}[info.Operation]
	var missing []connector.JobResult
	for _, list := range []string{"successfulResults", "failedResults", "unprocessedrecords"} {
		var stopped error
		_, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: jobsPath + "/" + job + "/" + list, results: func(body io.Reader) error {
			return readResults(body, list, v, c.config.externalField(recordType), func(r connector.JobResult) error {
				if r.Err != nil && connector.KindOf(r.Err) == connector.NotFound && recordID.MatchString(r.RemoteID) {
					missing = append(missing, r)
					return nil
				}
				stopped = each(r)
				return stopped
			})
		}})
		switch {
		case stopped != nil:
			return stopped
		case err != nil:
			return err
		}
	}
	return c.confirmRows(ctx, v, recordType, missing, each)
}

var errNoResults = errors.New("the list of results is not one")

// readResults reads one list, row by row.
func readResults(body io.Reader, list string, v verb, external string, each func(connector.JobResult) error) error {
	r := csv.NewReader(body)
	r.ReuseRecord = true
	header, err := r.Read()
	if err == io.EOF && list == "unprocessedrecords" {
		return nil
	}
	if err != nil {
		return errNoResults
	}
	at := map[string]int{}
	for i, name := range header {
		at[strings.ToLower(strings.TrimPrefix(name, "\ufeff"))] = i
	}
	cell := func(line []string, name string) string {
		if i, ok := at[strings.ToLower(name)]; ok && i < len(line) {
			return strings.Clone(line[i])
		}
		return ""
	}
	if _, ok := at["sf__id"]; !ok && list != "unprocessedrecords" {
		return errNoResults
	}
	for {
		line, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: it breaks off or is malformed", errNoResults)
		}
		res := connector.JobResult{RemoteID: cell(line, "sf__Id")}
		if v == create {
			res.ExternalID = cell(line, external)
		} else if id := cell(line, "Id"); id != "" {
			res.RemoteID = id
		}
		if v == create && res.ExternalID == "" || v != create && res.RemoteID == "" {
			continue // nobody can tell whose row it is
		}
		switch list {
		case "failedResults":
			res.Err = jobError(v, cell(line, "sf__Error"))
		case "unprocessedrecords":
			res.Err = &connector.Error{Kind: connector.Busy, Message: "the job ended before it came to this record"}
		default:
			if !recordID.MatchString(res.RemoteID) {
				continue
			}
		}
		if err := each(res); err != nil {
			return err
		}
	}
}

// jobError reads "CODE:message:field field --". Of a delete, a record that is
// in the recycle bin already is success.
func jobError(v verb, s string) error {
	code, rest, _ := strings.Cut(s, ":")
	if !codeForm.MatchString(code) {
		return &connector.Error{Kind: connector.Rejected, Message: words([]refusal{{Message: s + " (Salesforce gave no code)"}})}
	}
	if v == remove && code == "ENTITY_IS_DELETED" {
		return nil
	}
	rest = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "--"))
	r := refusal{StatusCode: code, Message: rest}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		r.Message, r.Fields = rest[:i], strings.Fields(rest[i+1:])
	}
	return rowError(v, []refusal{r})
}
