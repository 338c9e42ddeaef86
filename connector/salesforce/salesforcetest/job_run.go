package salesforcetest

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// runJob is the org's own doing.
func (s *Server) runJob(j *job) {
	s.jobs.mu.Lock()
	if j.state != "UploadComplete" {
		s.jobs.mu.Unlock()
		return
	}
	j.state = "InProgress"
	stop := s.faults.failJob(j.object.Name)
	err := s.readJob(j)
	s.jobs.mu.Unlock()
	if err != nil {
		s.endJob(j, "Failed", err.Error())
		return
	}
	for i, row := range j.rows {
		if stop >= 0 && i >= stop {
			s.endJob(j, "Failed", "InternalServerError : the job failed after too many tries")
			return
		}
		s.jobs.mu.Lock()
		running := j.state == "InProgress" && s.closing.Err() == nil
		s.jobs.mu.Unlock()
		if !running {
			return
		}
		id, created, err := s.runRow(j, row)
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
	if err := s.faults.row(j.object.Name, j.operation, key); err != nil {
		return "", false, err
	}
	c := &call{request: &http.Request{Header: http.Header{}}}
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
