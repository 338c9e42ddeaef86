package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Process is a worker that was started.
type Process struct {
	cmd   *exec.Cmd
	leash io.WriteCloser
	out   output
	done  chan struct{}
	err   error
}

// output collects what a worker writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// Start runs this program again, as a worker.
func Start(c Config) (*Process, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), variable+"="+string(text))
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	// It must not outlive this process: it dies when this pipe ends.
	if p.leash, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait() // closes the leash
		close(p.done)
	}()
	return p, nil
}

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end. killed: by SIGKILL; err: it ended by itself, and not
// well.
func (p *Process) Wait() (killed bool, err error) {
	<-p.done
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true, nil
	}
	if p.err != nil {
		return false, fmt.Errorf("%w\n%s", p.err, p.Log())
	}
	return false, nil
}

// Log is what the process wrote so far.
func (p *Process) Log() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.b.String()
}

// Says tells whether the process wrote a text, without a copy of its log.
func (p *Process) Says(text string) bool {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return bytes.Contains(p.out.b.Bytes(), []byte(text))
}
