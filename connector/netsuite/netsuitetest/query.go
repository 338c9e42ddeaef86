package netsuitetest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	pageSize   = 1000
	resultsCap = 100_000
)

// page reads limit and offset.
func page(c *call) (limit, offset int, err *apiError) {
	limit = pageSize
	if v := c.param("limit"); v != "" {
		n, bad := strconv.Atoi(v)
		if bad != nil || n < 1 || n > pageSize {
			return 0, 0, errParam("limit", "Invalid value '"+cut(v)+"' of the query parameter limit. Provide a number from 1 to 1000.")
		}
		limit = n
	}
	if v := c.param("offset"); v != "" {
		n, bad := strconv.Atoi(v)
		if bad != nil || n < 0 || n%limit != 0 {
			return 0, 0, errParam("offset", "Invalid value '"+cut(v)+"' of the query parameter offset. The offset must be divisible by the limit.")
		}
		if n >= resultsCap {
			return 0, 0, errParam("offset", "The query returns more than 100,000 results. Use a filter to narrow it.")
		}
		offset = n
	}
	return limit, offset, nil
}

// collection is one page of a list with its links.
func collection(c *call, href string, items []any, total, limit, offset int) map[string]any {
	hasMore := offset+len(items) < total
	link := func(rel string, offset int) map[string]string {
		q := url.Values{}
		for k, v := range c.query {
			q[k] = v
		}
		q.Set("limit", strconv.Itoa(limit))
		q.Set("offset", strconv.Itoa(offset))
		// A space as %20: signatures over a plus sign go wrong in too many clients.
		return map[string]string{"rel": rel, "href": href + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")}
	}
	var links []map[string]string
	if offset > 0 {
		links = append(links, link("first", 0), link("prev", offset-limit))
	}
	if hasMore {
		links = append(links, link("next", offset+limit), link("last", (total-1)/limit*limit))
	}
	links = append(links, link("self", offset))
	return map[string]any{"links": links, "items": items, "count": len(items), "hasMore": hasMore,
		"offset": offset, "totalResults": total}
}

// list answers GET on a record type: ids only.
func (s *Server) list(c *call, t *recordType) (*reply, *apiError) {
	limit, offset, err := page(c)
	if err != nil {
		return nil, err
	}
	var keep condition
	if q := c.param("q"); q != "" {
		if keep, err = parseFilter(t, q); err != nil {
			return nil, err
		}
	}
	href := c.root + recordRoot + "/" + t.name
	s.mu.RLock()
	found := s.candidates(t, keep)
	s.mu.RUnlock()
	total := min(len(found), resultsCap)
	items := []any{}
	for _, r := range found[min(offset, total):min(offset+limit, total)] {
		items = append(items, map[string]any{"links": self(href + "/" + r.id), "id": r.id})
	}
	return jsonReply(http.StatusOK, mediaCollection, collection(c, href, items, total, limit, offset)), nil
}

func (s *Server) candidates(t *recordType, keep condition) []*record {
	all := s.records(t)
	if keep == nil {
		return all
	}
	out := all[:0]
	for _, r := range all {
		if keep(s, r) {
			out = append(out, r)
		}
	}
	return out
}
