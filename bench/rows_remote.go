package main

import (
	"fmt"
	"time"
)

// drain is how long a bulk change takes to get to a remote that answers at
// once. The follower stays, since its remote lives in it.
func (p *place) drain() ([]result, error) {
	const name = "drained"
	s, err := p.shop(name, p.size.bulk)
	if err != nil {
		return nil, err
	}
	w, err := p.start(following{URL: s.url, Memory: true, Concurrency: 8})
	if err != nil {
		return nil, err
	}
	defer w.kill()
	p.say("backfilling %d groups", s.orders)
	if err := p.settle(s, 3*time.Minute); err != nil {
		return nil, err
	}
	var took []time.Duration
	var cpu []float64
	var calls int
	for n := range p.size.repeats {
		p.say("%d of %d", n+1, p.size.repeats)
		if err := p.vacuum(s); err != nil {
			return nil, err
		}
		d, f, err := p.drainOnce(s, w)
		if err != nil {
			return nil, err
		}
		took, cpu, calls = append(took, d), append(cpu, f.CPU.Seconds()), f.Calls
	}
	if err := w.stop(); err != nil {
		return nil, err
	}
	d := median(took)
	return []result{{fmt.Sprintf("those %d groups drained into a remote that answers at once", s.orders), "17 s for 100000",
		fmt.Sprintf("%.1f s", d.Seconds()), fmt.Sprintf("%.0f groups a second, %d calls, %.1f s of CPU in the follower",
			float64(s.orders)/d.Seconds(), calls, median(cpu))}}, p.drop(name)
}

func (p *place) drainOnce(s *shop, w *follower) (time.Duration, figures, error) {
	before, err := w.figures()
	if err != nil {
		return 0, figures{}, err
	}
	if err := p.exec(s, fmt.Sprintf("UPDATE orders SET ref_no = 'd%d-' || id", time.Now().UnixNano())); err != nil {
		return 0, figures{}, err
	}
	d, err := timed(func() error { return p.settle(s, 3*time.Minute) })
	if err != nil {
		return 0, figures{}, err
	}
	f, err := w.figures()
	f.CPU -= before.CPU
	return d, f, err
}

// latency is from the end of an application's commit to the arrival at the
// remote, at a fixed rate.
func (p *place) latency() ([]result, error) {
	s, err := p.watched()
	if err != nil {
		return nil, err
	}
	var all [3][]time.Duration
	var cpu []float64
	for n := range p.size.repeats {
		p.say("%d of %d", n+1, p.size.repeats)
		w, err := p.start(following{URL: s.url, Log: true, Concurrency: 8})
		if err != nil {
			return nil, err
		}
		times, f, err := p.latencyOnce(s, w)
		if err != nil {
			w.kill()
			return nil, err
		}
		if err := w.stop(); err != nil {
			return nil, err
		}
		for i, q := range []float64{0.5, 0.99, 1} {
			all[i] = append(all[i], percentile(times, q))
		}
		cpu = append(cpu, f.CPU.Seconds()/p.size.latency.Seconds())
	}
	ms := func(i int) float64 { return float64(median(all[i]).Microseconds()) / 1000 }
	return []result{{fmt.Sprintf("commit to remote at %d changes a second, composites", p.size.rate), "p50 20 ms, p99 60 ms",
		fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", ms(0), ms(1)),
		fmt.Sprintf("most %.0f ms; %.2f cores used by the follower", ms(2), median(cpu))}}, nil
}

func (p *place) latencyOnce(s *shop, w *follower) ([]time.Duration, figures, error) {
	if err := p.settle(s, time.Minute); err != nil {
		return nil, figures{}, err
	}
	if err := p.forgetChanges(s); err != nil {
		return nil, figures{}, err
	}
	before, err := w.figures()
	if err != nil {
		return nil, figures{}, err
	}
	committed, err := p.steady(s, p.size.rate, p.size.latency)
	if err != nil {
		return nil, figures{}, err
	}
	if err := p.settle(s, time.Minute); err != nil {
		return nil, figures{}, err
	}
	f, err := w.figures()
	if err != nil {
		return nil, f, err
	}
	f.CPU -= before.CPU
	var times []time.Duration
	for _, a := range f.Arrivals {
		if at, ours := committed[a.Change]; ours {
			times = append(times, max(time.Unix(0, a.At).Sub(at), 0))
			delete(committed, a.Change)
		}
	}
	if len(committed) > 0 {
		return nil, f, fmt.Errorf("%d changes did not arrive", len(committed))
	}
	return times, f, nil
}

// forgetChanges makes the change numbers start anew.
func (p *place) forgetChanges(s *shop) error {
	if err := p.exec(s, "UPDATE line_items SET change = 0 WHERE change <> 0"); err != nil {
		return err
	}
	return p.settle(s, time.Minute)
}

// burst is many changes of few groups while the remote is slow.
func (p *place) burst() ([]result, error) {
	s, err := p.watched()
	if err != nil {
		return nil, err
	}
	const latency, together = 50 * time.Millisecond, 8
	var took, writing []time.Duration
	var calls, repeats []int
	for n := range min(p.size.repeats, 3) {
		p.say("%d of %d", n+1, p.size.repeats)
		w, err := p.start(following{URL: s.url, Latency: latency, Concurrency: together, Remember: true})
		if err != nil {
			return nil, err
		}
		if err := p.settle(s, time.Minute); err != nil {
			return nil, err
		}
		wrote, err := timed(func() error { return p.changeMany(s, p.size.changes, p.size.groups) })
		var d time.Duration
		if err == nil {
			d, err = timed(func() error { return p.settle(s, 2*time.Minute) })
		}
		var f figures
		if err == nil {
			f, err = w.figures()
		}
		if err != nil {
			w.kill()
			return nil, err
		}
		if err := w.stop(); err != nil {
			return nil, err
		}
		took, writing, calls, repeats = append(took, d), append(writing, wrote), append(calls, f.Calls), append(repeats, f.Repeats)
	}
	ideal := time.Duration(p.size.groups) * latency / together
	what := fmt.Sprintf("%d changes over %d groups while the remote takes %s and %d at once", p.size.changes, p.size.groups, latency, together)
	return []result{
		{what, fmt.Sprintf("drained %.1f s after the last change, %d calls or fewer", ideal.Seconds(), p.size.groups*5/4),
			fmt.Sprintf("%.1f s, %d calls", median(took).Seconds(), median(calls)),
			fmt.Sprintf("the changes took %.1f s to write; one call for each group takes %.1f s", median(writing).Seconds(), ideal.Seconds())},
		{"calls whose body equals what the remote has", "0", fmt.Sprint(median(repeats)), fmt.Sprintf("of %d", median(calls))},
	}, nil
}
