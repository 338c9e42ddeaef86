package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// parts says where the cores' time went while the clients ran.
type parts struct {
	application time.Duration // the server's processes that run the clients' statements
	clients     time.Duration // the clients, in this program
	queries     time.Duration // the server's processes that run the follower's
	follower    time.Duration // its own process
	vacuum      time.Duration
	rest        time.Duration            // of the server: it writes the log and the pages
	stages      map[string]time.Duration // of queries, with -stages
}

// meter reads the time on a core of all processes that take part. Only Linux
// tells; elsewhere all is zero.
type meter struct {
	server      int
	application map[int]bool
	follower    int // zero: none
	seen        map[int]time.Duration
	first       map[int]time.Duration
	kind        map[int]string
	self        time.Duration
	stop        chan struct{}
	done        chan struct{}
}

// meterParts begins to read. Processes that end meanwhile, as vacuum's do,
// count with what they had used at the last look.
func meterParts(application []uint32, follower int) *meter {
	m := &meter{application: map[int]bool{}, follower: follower, seen: map[int]time.Duration{}, first: map[int]time.Duration{},
		kind: map[int]string{}, stop: make(chan struct{}), done: make(chan struct{})}
	for _, pid := range application {
		m.application[int(pid)] = true
		m.server = parentOf(int(pid))
	}
	m.self = ownCPU()
	m.look(true)
	go func() {
		defer close(m.done)
		for {
			select {
			case <-m.stop:
				return
			case <-time.After(50 * time.Millisecond):
				m.look(false)
			}
		}
	}()
	return m
}

// end reads once more and sums up.
func (m *meter) end() parts {
	close(m.stop)
	<-m.done
	m.look(false)
	p := parts{clients: ownCPU() - m.self}
	for pid, now := range m.seen {
		d := now - m.first[pid]
		switch m.kind[pid] {
		case "application":
			p.application += d
		case "queries":
			p.queries += d
		case "follower":
			p.follower += d
		case "vacuum":
			p.vacuum += d
		default:
			p.rest += d
		}
	}
	return p
}

func (m *meter) look(first bool) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return
	}
	for _, f := range folders {
		pid, err := strconv.Atoi(filepath.Base(f))
		if err != nil || pid != m.follower && parentOf(pid) != m.server {
			continue
		}
		if m.kind[pid] == "" {
			m.kind[pid] = m.kindOf(pid)
		}
		m.seen[pid] = onCore(pid)
		if first {
			m.first[pid] = m.seen[pid]
		}
	}
}

func (m *meter) kindOf(pid int) string {
	if pid == m.follower {
		return "follower"
	}
	if m.application[pid] {
		return "application"
	}
	title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	switch {
	case strings.Contains(string(title), "autovacuum worker"):
		return "vacuum"
	case strings.Contains(string(title), "("): // a client's address
		return "queries"
	}
	return "rest"
}

func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// onCore is the time that all threads of a process have been on a core.
func onCore(pid int) time.Duration {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0
	}
	var sum time.Duration
	for _, t := range threads {
		text, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

func ownCPU() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// each is the share of one of n.
func (p parts) each(n int64) parts {
	d := time.Duration(n)
	stages := map[string]time.Duration{}
	for name, of := range p.stages {
		stages[name] = of / d
	}
	return parts{p.application / d, p.clients / d, p.queries / d, p.follower / d, p.vacuum / d, p.rest / d, stages}
}

// middle is the median of each part.
func middle(all []parts) parts {
	of := func(part func(parts) time.Duration) time.Duration {
		each := make([]time.Duration, len(all))
		for i, p := range all {
			each[i] = part(p)
		}
		return median(each)
	}
	stages := map[string]time.Duration{}
	for name := range all[0].stages {
		stages[name] = of(func(p parts) time.Duration { return p.stages[name] })
	}
	return parts{
		of(func(p parts) time.Duration { return p.application }), of(func(p parts) time.Duration { return p.clients }),
		of(func(p parts) time.Duration { return p.queries }), of(func(p parts) time.Duration { return p.follower }),
		of(func(p parts) time.Duration { return p.vacuum }), of(func(p parts) time.Duration { return p.rest }), stages,
	}
}

// String tells the parts in microseconds; nothing where nothing is known.
func (p parts) String() string {
	if p.application == 0 {
		return ""
	}
	us := func(d time.Duration) int64 { return d.Microseconds() }
	var stages strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.stages)) {
		fmt.Fprintf(&stages, ", %s %.1f", name, float64(p.stages[name].Nanoseconds())/1000)
	}
	return fmt.Sprintf("; on a core in all, for each transaction: application's server %d, clients %d, follower %d, its queries %d, vacuum %d, rest of the server %d us%s",
		us(p.application), us(p.clients), us(p.follower), us(p.queries), us(p.vacuum), us(p.rest), stages.String())
}
