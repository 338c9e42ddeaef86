package salesforce

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

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
