package demo

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// account is the NetSuite sandbox, on a loopback address.
type account struct {
	*netsuitetest.Server
	url    string
	server *http.Server
	ended  chan error
}

// openAccount starts a sandbox whose answers take a few milliseconds. watch,
// if not nil, is told the body of each request once it was answered.
func openAccount(seed uint64, watch func(body []byte)) (*account, error) {
	s, err := netsuitetest.New(netsuitetest.Config{Concurrency: 5, Seed: seed})
	if err != nil {
		return nil, fmt.Errorf("make the sandbox: %w", err)
	}
	ms := netsuitetest.Duration(time.Millisecond)
	if err := s.Fail(netsuitetest.Fault{Kind: netsuitetest.Latency, Latency: 2 * ms, LatencyMax: 8 * ms, Stays: true}); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the sandbox: %w", err)
	}
	a := &account{Server: s, url: "http://" + l.Addr().String(), ended: make(chan error, 1)}
	a.server = &http.Server{Handler: watched(s, watch), ReadHeaderTimeout: 10 * time.Second}
	go func() { a.ended <- a.server.Serve(l) }()
	return a, nil
}

// watched tells watch the body of each request, once it was answered.
func watched(next http.Handler, watch func(body []byte)) http.Handler {
	if watch == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body recorder
		r.Body = io.NopCloser(io.TeeReader(r.Body, &body))
		next.ServeHTTP(w, r)
		watch(body)
	})
}

// recorder keeps what is read, up to a bound.
type recorder []byte

func (r *recorder) Write(b []byte) (int, error) {
	const most = 1 << 20
	*r = append(*r, b[:min(len(b), most-len(*r))]...)
	return len(b), nil
}

func (a *account) close() error {
	err := a.server.Close()
	a.Server.Close()
	if end := <-a.ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// calls is how many requests for records the sandbox has had so far.
func (a *account) calls() int {
	s := a.Stats()
	return s.Requests - s.Calls["token"]
}

// items lists what the account has on its shelves: the shop sells just that.
func (a *account) items() ([]item, error) {
	var out []item
	for i, r := range a.Records("inventoryItem") {
		id, err := strconv.ParseInt(text(r["id"]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("item %v: %w", r["id"], err)
		}
		out = append(out, item{id: id, name: text(r["itemId"]), cents: int64(1050 + 1000*i)})
	}
	if len(out) == 0 {
		return nil, errors.New("the sandbox has no items")
	}
	slices.SortFunc(out, func(a, b item) int { return cmp.Compare(a.id, b.id) })
	return out, nil
}

// text is a value of a record as plain text: of a reference or a choice its
// id, and nothing for null.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case map[string]any:
		return text(v["id"])
	}
	return fmt.Sprint(v)
}
