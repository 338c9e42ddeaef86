package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// followArg makes this program a follower.
const followArg = "follow"

// follower is a process of its own that runs the engine, so that what it uses
// of the machine can be told from what the application and the database use.
type follower struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a follower, which has installed the triggers when this returns.
func (p *place) start(f following) (*follower, error) {
	if p.profiles != "" {
		p.followers++
		f.Profile = filepath.Join(p.profiles, fmt.Sprintf("%s-%d.pprof", p.row, p.followers))
	}
	f.Stages = p.apart
	if f.Concurrency == 0 {
		f.Concurrency = 8
	}
	cmd := exec.Command(p.self, followArg)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &follower{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<20)}
	told, err := json.Marshal(f)
	if err == nil {
		_, err = fmt.Fprintf(in, "%s\n", told)
	}
	if err == nil {
		_, err = w.answer()
	}
	if err != nil {
		w.kill()
		return nil, errFollower(err)
	}
	return w, nil
}

// figures asks the follower for its figures. Counters start anew.
func (w *follower) figures() (figures, error) {
	if _, err := io.WriteString(w.in, "figures\n"); err != nil {
		return figures{}, errFollower(err)
	}
	return w.answer()
}

func (w *follower) answer() (figures, error) {
	var f figures
	text, err := w.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	return f, err
}

// stop lets the follower end in order.
func (w *follower) stop() error {
	if err := w.in.Close(); err != nil {
		return errFollower(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { _ = w.cmd.Process.Kill() })
	defer timer.Stop()
	if err := w.cmd.Wait(); err != nil {
		return errFollower(err)
	}
	return nil
}

// kill ends a follower that did not stop; after stop it does nothing.
func (w *follower) kill() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}
