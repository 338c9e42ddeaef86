package faulttest

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Close drops the requests that wait for a fault; late ones that were not
// performed yet never are. It returns when all that ran in the background has
// ended.
func (fs *Faults) Close() {
	fs.lateMu.Lock()
	fs.close()
	fs.lateMu.Unlock()
	fs.late.Wait()
}

// Closed reports whether Close was called: what runs in the background ends.
func (fs *Faults) Closed() bool { return fs.closing.Err() != nil }

// Background runs what outlives its request, such as a job, until Close; after
// Close it does nothing.
func (fs *Faults) Background(f func()) {
	fs.lateMu.Lock()
	defer fs.lateMu.Unlock()
	if !fs.Closed() {
		fs.late.Go(f)
	}
}

// Postpone performs a request when the time of its Late fault has come. perform
// must not need the request's context or body.
func (fs *Faults) Postpone(f *Fault, perform func()) {
	if f.Delay > 0 {
		fs.Background(func() {
			if fs.Pause(context.Background(), time.Duration(f.Delay)) {
				perform()
			}
		})
		return
	}
	ch := make(chan struct{})
	fs.mu.Lock()
	fs.released = append(fs.released, ch)
	fs.mu.Unlock()
	fs.Background(func() {
		select {
		case <-ch:
			perform()
			ch <- struct{}{}
		case <-fs.closing.Done():
		}
	})
}

// Pending is how many late requests wait for [Faults.Release].
func (fs *Faults) Pending() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.released)
}

// Release performs the late requests that wait to be told, in the order they
// came, and returns how many there were when the last one is done.
func (fs *Faults) Release() int {
	fs.mu.Lock()
	waiting := fs.released
	fs.released = nil
	fs.mu.Unlock()
	for i, ch := range waiting {
		select {
		case ch <- struct{}{}: // begin
			<-ch // done
		case <-fs.closing.Done():
			return i
		}
	}
	return len(waiting)
}

// Pause waits, in real time; false when the client or the sandbox went away
// first.
func (fs *Faults) Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-fs.closing.Done():
	}
	return false
}

// Break ends a request without an answer, as a [Fault.Silent] fault does: at
// once with a reset, or when the client or the sandbox goes away. It may panic
// with http.ErrAbortHandler.
func (fs *Faults) Break(ctx context.Context, w http.ResponseWriter, f *Fault) {
	if f.Kind == Reset || f.Kind == Late && f.Drop {
		ResetConnection(w)
		return
	}
	select {
	case <-ctx.Done():
	case <-fs.closing.Done():
	}
	Abort()
}

// ResetConnection breaks the connection so that the client sees a reset (TCP
// RST; with HTTP/2, of the stream) and no end of an answer.
func ResetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		Abort()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close send RST
	}
	_ = conn.Close()
}

// Abort drops the connection without an answer, by the panic that net/http has
// for it.
func Abort() { panic(http.ErrAbortHandler) }
