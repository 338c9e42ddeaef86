package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Vitals is what a process holds on to.
type Vitals struct {
	Heap       uint64 // bytes that are in use after a collection
	Goroutines int
	Files      int // that are open, sockets too
}

// tell writes the process's vitals to a file whenever it is asked to by SIGUSR1.
func tell(ctx context.Context, path string) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
			}
			if err := vitals().write(path); err != nil {
				fmt.Println("vitals:", err)
			}
		}
	}()
}

func vitals() Vitals {
	runtime.GC() // twice: what is finalized in the first is freed in the second
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	return Vitals{Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine(), Files: len(open)}
}

func (v Vitals) write(path string) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// Vitals asks a process that was started with [Config.Vitals].
func (p *Process) Vitals(ctx context.Context, path string) (v Vitals, err error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return v, err
	}
	p.Signal(syscall.SIGUSR1)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		text, err := os.ReadFile(path)
		if err == nil {
			return v, json.Unmarshal(text, &v)
		}
		select {
		case <-ctx.Done():
			return v, fmt.Errorf("a worker does not tell its vitals: %w", ctx.Err())
		case <-p.Done():
			return v, fmt.Errorf("a worker ended by itself:\n%s", p.Log())
		case <-look.C:
		}
	}
}
