package salesforcetest

import (
	"fmt"
	"strings"
	"testing"
)

func TestSingleRecords(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	id := o.must(201, "POST", "/sobjects/Account", `{"Name":"One","Phone":"1"}`).id()
	o.must(204, "PATCH", "/sobjects/Account/"+id, `{"Phone":null,"Site":"s"}`)
	if o.show(id, "Phone") != nil || o.show(id, "Site") != "s" || o.show(id, "Name") != "One" {
		t.Error("an update changes its fields and no other")
	}
	if a := o.must(200, "GET", "/sobjects/Account/"+id[:15]+"?fields=Name,Site", ""); !strings.Contains(a.raw, `"Name":"One"`) || strings.Contains(a.raw, "Phone") {
		t.Error(a.raw)
	}
	o.must(204, "DELETE", "/sobjects/Account/"+id, "")
	o.refused(404, "ENTITY_IS_DELETED", "DELETE", "/sobjects/Account/"+id, "")
	o.refused(404, "ENTITY_IS_DELETED", "PATCH", "/sobjects/Account/"+id, `{}`)
	o.refused(404, "ENTITY_IS_DELETED", "GET", "/sobjects/Account/"+id, "")
	o.refused(404, "NOT_FOUND", "GET", "/sobjects/Account/001000000000000AAA", "")
	o.refused(404, "NOT_FOUND", "GET", "/sobjects/Contact/"+id, "")
	o.refused(404, "NOT_FOUND", "POST", "/sobjects/Acount", `{}`)
	o.refused(404, "NOT_FOUND", "POST", "/services/data/v99.0/sobjects/Account", `{"Name":"x"}`)
	o.refused(405, "METHOD_NOT_ALLOWED", "PUT", "/sobjects/Account", `{}`)
	for body, code := range map[string]string{
		`{}`: "REQUIRED_FIELD_MISSING", `{"Name":""}`: "REQUIRED_FIELD_MISSING", `{"Name":1}`: "JSON_PARSER_ERROR", `[`: "JSON_PARSER_ERROR", ``: "JSON_PARSER_ERROR",
		`{"Name":"x"}{}`: "JSON_PARSER_ERROR", `{"Nmae":"x"}`: "INVALID_FIELD", `{"Name":"x","Id":"y"}`: "INVALID_FIELD",
		`{"Name":"x","IsDeleted":true}`: "INVALID_FIELD_FOR_INSERT_UPDATE", `{"Name":"x","Score__c":"1"}`: "JSON_PARSER_ERROR",
		`{"Name":"x","NumberOfEmployees":1.5}`: "JSON_PARSER_ERROR", `{"Name":"x","Active__c":null}`: "JSON_PARSER_ERROR", `{"Name":"x","Since__c":"31.1.2026"}`: "JSON_PARSER_ERROR",
		`{"Name":"x","AnnualRevenue":1234567890123456789}`: "NUMBER_OUTSIDE_VALID_RANGE", `{"Name":"x","ParentId":"001"}`: "MALFORMED_ID",
		`{"Name":"x","ParentId":"` + id + `"}`: "ENTITY_IS_DELETED", `{"Name":"x","OwnerId":"001000000000000AAA"}`: "INVALID_CROSS_REFERENCE_KEY",
		`{"Name":"x","Parent":{"Name":"x"}}`: "INVALID_FIELD", `{"Name":"x","Parent":{"Upkeep_Id__c":"x"}}`: "INVALID_FIELD", `{"Name":"x","Parent":"x"}`: "JSON_PARSER_ERROR",
	} {
		o.refused(400, code, "POST", "/sobjects/Account", body)
	}
	if n := len(o.server.Records("Account")); n != 0 {
		t.Errorf("%d records", n)
	}
}

func TestUpsertByURL(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	const path = "/sobjects/Account/Upkeep_Id__c/"
	a := o.must(201, "PATCH", path+"a-1", `{"Name":"One"}`)
	if !strings.Contains(a.raw, `"created":true`) {
		t.Error(a.raw)
	}
	if b := o.must(200, "PATCH", path+"a-1", `{"Name":"Two"}`); b.id() != a.id() || !strings.Contains(b.raw, `"created":false`) || o.show(a.id(), "Name") != "Two" {
		t.Error(b.raw)
	}
	o.must(201, "PATCH", path+"A-1", `{"Name":"Another"}`) // the field is case sensitive
	o.refused(404, "NOT_FOUND", "PATCH", path+"x?updateOnly=true", `{"Name":"x"}`)
	o.refused(404, "NOT_FOUND", "PATCH", path+"x@y.inc", `{"Name":"x"}`) // like a file's end
	o.refused(404, "NOT_FOUND", "PATCH", "/sobjects/Account/Site/x", `{"Name":"x"}`)
	o.refused(400, "INVALID_FIELD", "PATCH", path+"b", `{"Name":"x","Upkeep_Id__c":"b"}`)
	o.must(200, "GET", path+"a-1", "")
	o.must(204, "DELETE", path+"a-1", "")
	o.refused(404, "NOT_FOUND", "GET", path+"a-1", "")
	if b := o.must(201, "PATCH", path+"a-1", `{"Name":"New"}`); b.id() == a.id() {
		t.Error("a record in the recycle bin was found")
	}
	for range 2 {
		o.must(201, "POST", "/sobjects/Account", `{"Name":"x","Legacy_Id__c":"l"}`)
	}
	several := o.must(300, "PATCH", "/sobjects/Account/Legacy_Id__c/L", `{"Name":"y"}`)
	if strings.Count(several.raw, "/services/data/v68.0/sobjects/Account/001") != 2 {
		t.Error(several.raw)
	}
}

func TestRulesOfTheOrg(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{
		Rules:          []Rule{{Object: "Account", Field: "Site", Message: "not there", Fails: func(v map[string]any) bool { return v["Site"] == "nowhere" }}},
		DuplicateRules: []DuplicateRule{{Object: "Account", Field: "Name"}},
	})
	o.must(201, "POST", "/sobjects/Account", `{"Name":"One","Vat_Id__c":"V"}`)
	o.refused(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "POST", "/sobjects/Account", `{"Name":"Two","Site":"nowhere"}`)
	o.refused(400, "DUPLICATE_VALUE", "POST", "/sobjects/Account", `{"Name":"Two","Vat_Id__c":"v"}`)
	o.refused(400, "DUPLICATES_DETECTED", "POST", "/sobjects/Account", `{"Name":"one"}`)
	r := o.request("POST", "/sobjects/Account", `{"Name":"one"}`)
	r.Header.Set("Sforce-Duplicate-Rule-Header", "allowSave=true")
	res, err := o.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 201 {
		t.Error(res.Status)
	}
}

func TestDeletesReachOthers(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	parent := o.must(201, "POST", "/sobjects/Account", `{"Name":"Parent"}`).id()
	child := o.must(201, "POST", "/sobjects/Account", `{"Name":"Child","ParentId":"`+parent+`"}`).id()
	contact := o.must(201, "POST", "/sobjects/Contact", `{"LastName":"x","AccountId":"`+parent+`"}`).id()
	invoice := o.must(201, "POST", "/sobjects/Invoice__c", `{"Account__c":"`+parent+`"}`).id()
	o.refused(400, "DELETE_FAILED", "DELETE", "/sobjects/Account/"+parent, "")
	o.must(204, "DELETE", "/sobjects/Invoice__c/"+invoice, "")
	o.must(204, "DELETE", "/sobjects/Account/"+parent, "")
	if o.show(child, "ParentId") != nil {
		t.Error("the field still refers to what is gone")
	}
	o.refused(404, "ENTITY_IS_DELETED", "GET", "/sobjects/Contact/"+contact, "")
}

func TestCollections(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	row := func(fields string) string { return `{"attributes":{"type":"Account"},` + fields + `}` }
	body := func(allOrNone bool, rows ...string) string {
		return fmt.Sprintf(`{"allOrNone":%v,"records":[%s]}`, allOrNone, strings.Join(rows, ","))
	}
	const upsert = "/composite/sobjects/Account/Upkeep_Id__c"
	a := o.must(200, "PATCH", upsert, body(false, row(`"Upkeep_Id__c":"a","Name":"A"`), row(`"Upkeep_Id__c":"b"`), row(`"Upkeep_Id__c":"c","Name":"C"`), row(`"Name":"none"`)))
	if got := a.rows(); got != "created REQUIRED_FIELD_MISSING created MISSING_ARGUMENT" {
		t.Error(got)
	}
	if !strings.Contains(a.raw, `"statusCode"`) || strings.Contains(a.raw, `"errorCode"`) {
		t.Error(a.raw)
	}
	if got := o.must(200, "PATCH", upsert, body(true, row(`"Upkeep_Id__c":"a","Name":"A2"`), row(`"Upkeep_Id__c":"d","Name":"D"`), row(`"Upkeep_Id__c":"e"`))).rows(); got !=
		"ALL_OR_NONE_OPERATION_ROLLED_BACK ALL_OR_NONE_OPERATION_ROLLED_BACK REQUIRED_FIELD_MISSING" {
		t.Error(got)
	}
	if n := len(o.server.Records("Account")); n != 2 || o.server.Count("Account", "Name", "A") != 1 || o.server.Count("Account", "Upkeep_Id__c", "d") != 0 {
		t.Error("what was rolled back is still there")
	}
	o.must(201, "PATCH", "/sobjects/Account/Upkeep_Id__c/d", `{"Name":"D"}`) // and not in an index either
	ids := []string{}
	for _, r := range o.server.Records("Account") {
		ids = append(ids, r["Id"].(string))
	}
	update := func(id string) string { return row(`"id":"` + id + `","Site":"x"`) }
	if got := o.must(200, "PATCH", "/composite/sobjects", body(false, update(ids[0]), update("1"), update("001000000000000AAA"), row(`"Site":"x"`), `{"attributes":{"type":"Acount"}}`)).rows(); got !=
		"ok MALFORMED_ID INVALID_CROSS_REFERENCE_KEY MISSING_ARGUMENT INVALID_TYPE" {
		t.Error(got)
	}
	if got := o.must(200, "POST", "/composite/sobjects", body(false, row(`"Name":"x"`), `{"attributes":{"type":"Contact"},"LastName":"y"}`)).rows(); got != "ok ok" {
		t.Error(got)
	}
	if got := o.must(200, "DELETE", "/composite/sobjects?allOrNone=false&ids="+strings.Join(append(ids, ids[0]), ","), "").rows(); got != "ok ok ok ENTITY_IS_DELETED" {
		t.Error(got)
	}
	many := make([]string, 201)
	for i := range many {
		many[i] = row(fmt.Sprintf(`"Upkeep_Id__c":"m%d","Name":"M"`, i))
	}
	o.refused(400, "LIMIT_EXCEEDED", "PATCH", upsert, body(false, many...))
	before := o.server.Stats().Requests
	o.must(200, "PATCH", upsert, body(false, many[:200]...))
	if n := o.server.Stats().Requests - before; n != 1 || o.server.Count("Account", "Name", "M") != 200 {
		t.Errorf("%d requests", n)
	}
	o.refused(400, "DUPLICATE_VALUE", "PATCH", upsert, body(false, many[0], many[0]))
	o.refused(400, "INVALID_FIELD", "PATCH", "/composite/sobjects/Account/Site", body(false, many[0]))
	o.refused(404, "NOT_FOUND", "PATCH", "/composite/sobjects/Acount/Upkeep_Id__c", body(false, many[0]))
	o.refused(400, "JSON_PARSER_ERROR", "PATCH", upsert, `{"records":{}}`)
}

func TestQueries(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	o.must(201, "PATCH", "/sobjects/Account/Upkeep_Id__c/p", `{"Name":"Parent"}`)
	id := o.must(201, "PATCH", "/sobjects/Account/Upkeep_Id__c/c", `{"Name":"it's \"so\" \\","Parent":{"Upkeep_Id__c":"p"}}`).id()
	task := o.must(201, "POST", "/sobjects/Task", `{"Subject":"x","What":{"attributes":{"type":"Account"},"Upkeep_Id__c":"p"}}`).id()
	for q, contains := range map[string]string{
		`SELECT Id, Name FROM Account WHERE Name = 'it\'s "so" \\'`:                                 id,
		`SELECT Id, Parent.Name, Parent.Upkeep_Id__c FROM Account WHERE Id = '` + id[:15] + `'`:     `"Upkeep_Id__c":"p"`,
		`select Id from Account where Upkeep_Id__c = 'p' and Name = 'PARENT' limit 1`:               `"totalSize":1`,
		`SELECT Id FROM Account WHERE Upkeep_Id__c = 'P'`:                                           `"totalSize":0`,
		`SELECT Parent.Name FROM Account WHERE Upkeep_Id__c = 'p'`:                                  `"Parent":null`,
		`SELECT TYPEOF What WHEN Account THEN Upkeep_Id__c END FROM Task WHERE Id = '` + task + `'`: `"Upkeep_Id__c":"p"`,
		`SELECT Id FROM Account WHERE Id IN ('` + id + `', '001000000000000AAA')`:                   `"totalSize":1`,
	} {
		if a := o.must(200, "GET", soql(q), ""); !strings.Contains(a.raw, contains) {
			t.Errorf("%s: %s", q, a.raw)
		}
	}
	for q, code := range map[string]string{
		`SELECT Id FROM Acount`: "INVALID_TYPE", `SELECT Nmae FROM Account`: "INVALID_FIELD", `SELECT Parnt.Name FROM Account`: "INVALID_FIELD",
		`SELECT What.Upkeep_Id__c FROM Task`: "INVALID_FIELD", `SELECT Id FROM Account WHERE Description = 'x'`: "INVALID_FIELD", `nonsense`: "MALFORMED_QUERY",
		`SELECT Id FROM Account WHERE Name = 'a' OR Name = 'b'`: "MALFORMED_QUERY", `SELECT Id FROM Account WHERE Name = '\q'`: "MALFORMED_QUERY", `SELECT Id FROM Account WHERE Id = '1'`: "INVALID_QUERY_FILTER_OPERATOR",
	} {
		o.refused(400, code, "GET", soql(q), "")
	}
}

func TestDescribes(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{Objects: []Object{{Name: "Thing__c", Prefix: "a90", Fields: []Field{{Name: "Code__c", Type: "string", ExternalID: true}}}}})
	if a := o.must(200, "GET", "/sobjects", ""); !strings.Contains(a.raw, `"Thing__c"`) {
		t.Error(a.raw)
	}
	a := o.must(200, "GET", "/sobjects/Contact/describe", "")
	for _, want := range []string{`"relationshipName":"Account"`, `"referenceTo":["Account"]`, `"externalId":true`, `"caseSensitive":true`, `"createable":false`} {
		if !strings.Contains(a.raw, want) {
			t.Errorf("the description lacks %s", want)
		}
	}
	o.refused(404, "NOT_FOUND", "GET", "/sobjects/Thng__c/describe", "")
	if _, err := New(Config{Objects: []Object{{Name: "X"}}}); err == nil {
		t.Error("an object without a prefix")
	}
	if len(checksum("0015g0000000001")) != 3 || checksum("001A0000006Vm9r") != "IAC" {
		t.Errorf("checksum %s", checksum("001A0000006Vm9r"))
	}
}
