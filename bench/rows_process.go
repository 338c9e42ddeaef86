package main

import (
	"fmt"
	"time"
)

// clean makes groups that are at the remote, without rows and without calls.
const clean = `INSERT INTO upkeep.groups (sync, key, generation, synced_generation, remote_id, external_id, touched_at, synced_at, digests)
	SELECT 'sales_order', n::text, 1, 1, 'id-' || n, 'sales_order-' || n, now(), now(), sha256(n::text::bytea)
	FROM generate_series(1, %d) n`

// idle is what following costs when nothing changes.
func (p *place) idle() ([]result, error) {
	var out []result
	for i, n := range p.size.idle {
		name := fmt.Sprintf("idle_%d", i)
		s, err := p.shop(name, 1)
		if err != nil {
			return out, err
		}
		if err := p.backfilled(s); err != nil {
			return out, err
		}
		p.say("making %d groups", n)
		for _, sql := range []string{"DELETE FROM upkeep.groups", fmt.Sprintf(clean, n), "VACUUM (ANALYZE) upkeep.groups", "CHECKPOINT"} {
			if err := p.exec(s, sql); err != nil {
				return out, err
			}
		}
		ms, f, err := p.idling(following{URL: s.url}, fmt.Sprintf("%d groups", n))
		if err != nil {
			return out, err
		}
		out = append(out, result{fmt.Sprintf("idle, %d groups: CPU a second of the process", n), "3 ms",
			fmt.Sprintf("%.1f ms", ms), fmt.Sprintf("%.0f MB resident", float64(f.Resident)/(1<<20))})
		if i == len(p.size.idle)-1 {
			if ms, _, err = p.idling(following{URL: s.url, Kind: byPoll}, "floor"); err != nil {
				return out, err
			}
			out = append(out, result{"idle, floor: a process of the same language and driver that runs one query four times a second", "-",
				fmt.Sprintf("%.1f ms", ms), ""})
		}
		if err := p.drop(name); err != nil {
			return out, err
		}
	}
	return out, nil
}

// idling is how many milliseconds a second a follower with nothing to do is on
// a core.
func (p *place) idling(f following, what string) (float64, figures, error) {
	w, err := p.start(f)
	if err != nil {
		return 0, figures{}, err
	}
	defer w.kill()
	var all []float64
	var now figures
	time.Sleep(3 * time.Second) // until it polls slowly
	each := p.size.idleFor / time.Duration(p.size.repeats)
	for r := range p.size.repeats {
		p.say("%s, %d of %d", what, r+1, p.size.repeats)
		before, err := w.figures()
		if err != nil {
			return 0, now, err
		}
		time.Sleep(each)
		if now, err = w.figures(); err != nil {
			return 0, now, err
		}
		all = append(all, (now.CPU-before.CPU).Seconds()*1000/each.Seconds())
	}
	return median(all), now, w.stop()
}

// memory is what a first backfill needs, while changes come in.
func (p *place) memory() ([]result, error) {
	const name = "filling"
	s, err := p.shop(name, p.size.backfill)
	if err != nil {
		return nil, err
	}
	w, err := p.start(following{URL: s.url, Concurrency: 32})
	if err != nil {
		return nil, err
	}
	p.say("backfilling %d groups for at most %s", s.orders, p.size.filling)
	began := time.Now()
	done := false
	for !done && err == nil && time.Since(began) < p.size.filling {
		err = p.exec(s, fmt.Sprintf("UPDATE line_items SET qty = qty + 1 WHERE id = %d", 1+time.Now().UnixNano()%int64(s.orders)))
		if err == nil {
			done, err = p.settled(s, 200*time.Millisecond)
		}
	}
	took := time.Since(began)
	var f figures
	if err == nil {
		f, err = w.figures()
	}
	if err == nil {
		err = w.stop()
	}
	if err != nil {
		w.kill()
		return nil, err
	}
	if f.Peak == 0 {
		return nil, errNothing
	}
	return []result{{fmt.Sprintf("resident memory at most, following and backfilling %d groups", s.orders), "64 MB",
			fmt.Sprintf("%.0f MB", float64(f.Peak)/(1<<20)),
			fmt.Sprintf("%d groups in %.0f s: %.0f a second", f.Calls, took.Seconds(), float64(f.Calls)/took.Seconds())}},
		p.drop(name)
}

// processes is what more of them bring, on the cores that there are.
func (p *place) processes() ([]result, error) {
	const name = "many"
	s, err := p.shop(name, p.size.machines)
	if err != nil {
		return nil, err
	}
	if err := p.backfilled(s); err != nil {
		return nil, err
	}
	text, detail := "", ""
	for _, n := range []int{1, 2, 4} {
		var rates []float64
		for r := range p.size.repeats {
			p.say("%d processes, %d of %d", n, r+1, p.size.repeats)
			rate, err := p.together(s, n)
			if err != nil {
				return nil, err
			}
			rates = append(rates, rate)
		}
		if text != "" {
			text, detail = text+" / ", detail+" / "
		}
		text += fmt.Sprintf("%.0f", median(rates))
		detail += fmt.Sprint(n)
	}
	return []result{{"groups a second with " + detail + " processes", "grows until the cores are full", text,
		fmt.Sprintf("%d groups, a remote that answers at once", s.orders)}}, p.drop(name)
}

// together lets n followers drain a bulk change.
func (p *place) together(s *shop, n int) (rate float64, err error) {
	var all []*follower
	defer func() {
		for _, w := range all {
			if err != nil {
				w.kill()
			} else {
				err = w.stop()
			}
		}
	}()
	for range n {
		w, err := p.start(following{URL: s.url, Concurrency: 32})
		if err != nil {
			return 0, err
		}
		all = append(all, w)
	}
	if err := p.vacuum(s); err != nil {
		return 0, err
	}
	if err := p.exec(s, fmt.Sprintf("UPDATE orders SET ref_no = 'm%d-' || id", time.Now().UnixNano())); err != nil {
		return 0, err
	}
	d, err := timed(func() error { return p.settle(s, 2*time.Minute) })
	return float64(s.orders) / d.Seconds(), err
}
