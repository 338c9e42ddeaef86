package netsuitetest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestJobs(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	key := "X-NetSuite-Idempotency-Key: 0b0d9f4a-7a6c-4a43-8a0e-2d9b9a0b6f11"
	out := a.must(202, "POST", "customer", `{"externalId":"C","entityId":"C"}`, "Prefer: respond-async", key)
	job := strings.TrimPrefix(out.header.Get("Location"), a.url)
	if out.header.Get("Preference-Applied") != "respond-async" || !strings.HasPrefix(job, "/services/rest/async/v1/job/") {
		t.Fatal(out.header)
	}
	eventually(t, "the job ends", func() bool { return a.must(200, "GET", job, "").body["completed"] == true })
	if p := a.must(200, "GET", job+"/task/1", "").body["progress"]; p != "succeeded" {
		t.Error(p)
	}
	if tasks := a.must(200, "GET", job+"/task", ""); fmt.Sprint(tasks.body["totalResults"]) != "1" {
		t.Error(tasks.raw)
	}
	result := a.must(204, "GET", job+"/task/1/result", "")
	a.must(200, "GET", "customer/"+result.id(), "")
	again := a.must(400, "POST", "customer", `{"externalId":"C","entityId":"C"}`, "Prefer: respond-async", key)
	if code, _, _ := again.detail(); code != "IDEMPOTENCY_ERROR" || again.body["title"] != "Conflict" || again.header.Get("Location") != a.url+job {
		t.Error(again.raw, again.header)
	}
	// The key means nothing to a request that is answered at once.
	a.must(204, "POST", "customer", `{"entityId":"D"}`, key)
	a.must(204, "POST", "customer", `{"entityId":"E"}`, key)
	a.must(404, "GET", "/services/rest/async/v1/job/99", "")
}

func TestBatch(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	collection := "Content-Type: application/vnd.oracle.resource+json; type=collection"
	run := func(method, path, body string, headers ...string) []int {
		t.Helper()
		out := a.must(202, method, path, body, append(headers, "Prefer: respond-async")...)
		job := strings.TrimPrefix(out.header.Get("Location"), a.url)
		eventually(t, "the batch ends", func() bool { return a.must(200, "GET", job, "").body["completed"] == true })
		var got []int
		for i := range a.must(200, "GET", job+"/task", "").body["items"].([]any) {
			got = append(got, a.call("GET", fmt.Sprintf("%s/task/%d/result", job, i+1), "").status)
		}
		return got
	}
	if got := run("PUT", "customer", `{"items":[{"externalId":"A","entityId":"A"},{"externalId":"B"},{"externalId":"C","entityId":"C"}]}`, collection); fmt.Sprint(got) != "[204 400 204]" {
		t.Error(got)
	}
	if got := run("PATCH", "customer", `{"items":[{"id":"1001","phone":"1"},{"externalId":"C","phone":"2"},{"id":"77","phone":"3"}]}`, collection); fmt.Sprint(got) != "[204 204 404]" {
		t.Error(got)
	}
	if got := a.show("customer/eid:C", "phone"); got != "phone=2" {
		t.Error(got)
	}
	if got := run("DELETE", "customer?ids=1001,eid:C", ``); fmt.Sprint(got) != "[204 204]" || len(a.server.Records("customer")) != 0 {
		t.Error(got)
	}
	a.must(400, "PUT", "customer", `{"items":[{"externalId":"A"}]}`, collection)
	a.must(400, "PUT", "customer", `{"items":[{"entityId":"A"}]}`, collection, "Prefer: respond-async")
	a.must(400, "POST", "customer", `{"items":[`+strings.Repeat(`{},`, 100)+`{}]}`, collection, "Prefer: respond-async")
}

func TestControls(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	control := func(status int, method, path, body string) answer {
		t.Helper()
		r, err := http.NewRequest(method, a.url+"/sandbox/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		out := a.do(r)
		if out.status != status {
			t.Errorf("%s %s: %d %s", method, path, out.status, out.raw)
		}
		return out
	}
	control(200, "POST", "faults", `{"kind":"status","status":503,"op":"create","count":1}`)
	control(200, "DELETE", "faults", "")
	control(200, "POST", "faults", `{"kind":"latency","latency":"1ms","latency_max":"2ms"}`)
	if out := control(200, "GET", "faults", ""); out.raw != `[{"kind":"latency","latency":"1ms","latency_max":"2ms"}]` {
		t.Error(out.raw)
	}
	control(200, "DELETE", "faults", "")
	control(400, "POST", "faults", `{"kind":"latency","latency":"soon"}`)
	control(200, "POST", "faults", `{"kind":"status","status":503,"op":"create","count":1}`)
	control(400, "POST", "faults", `{"kind":"status","stauts":503}`)
	if out := control(200, "GET", "faults", ""); out.raw != `[{"kind":"status","op":"create","count":1,"status":503}]` {
		t.Error(out.raw)
	}
	a.must(503, "POST", "customer", `{"entityId":"A"}`)
	control(200, "DELETE", "faults", "")
	control(200, "POST", "records/customer", `{"externalId":"A","entityId":"A"}`)
	control(400, "POST", "records/customer", `{"nope":1}`)
	if out := control(200, "GET", "records/customer", ""); !strings.Contains(out.raw, `"externalId":"A"`) {
		t.Error(out.raw)
	}
	control(204, "PATCH", "records/customer/eid:A", `{"email":"by@hand.example"}`)
	if out := control(200, "GET", "records/customer", ""); !strings.Contains(out.raw, `"email":"by@hand.example"`) || !strings.Contains(out.raw, `"entityId":"A"`) {
		t.Error(out.raw)
	}
	if out := control(200, "GET", "records/customer/eid:A", ""); fmt.Sprint(out.body["email"]) != "by@hand.example" {
		t.Error(out.raw)
	}
	control(404, "GET", "records/customer/eid:B", "")
	control(400, "PATCH", "records/customer/eid:A", `{"nope":1}`)
	control(400, "PATCH", "records/customer/eid:B", `{"email":"by@hand.example"}`)
	control(400, "PATCH", "records/spaceship/1", `{}`)
	control(405, "PUT", "records/customer/eid:A", `{}`)
	control(204, "DELETE", "records/customer/1001", "")
	control(400, "DELETE", "records/customer/1001", "")
	if out := control(200, "GET", "records/customer", ""); out.raw != "[]" {
		t.Error(out.raw)
	}
	control(404, "GET", "records/spaceship", "")
	control(404, "GET", "", "")
	control(200, "GET", "duplicates?field=otherRefNum", "")
	control(200, "GET", "audit", "")
	control(200, "POST", "release", "")
	if out := control(200, "GET", "stats", ""); fmt.Sprint(out.body["requests"]) != "1" || fmt.Sprint(out.body["faulted"]) != "1" {
		t.Error(out.raw)
	}
	control(204, "DELETE", "stats", "")
	if a.server.Stats().Requests != 0 {
		t.Error("reset does not")
	}
}
