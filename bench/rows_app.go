package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// application is what single changes all over the tables cost.
func (p *place) application() ([]result, error) {
	lines := int64(p.size.shop * linesPerOrder)
	return p.besides("one row by key", "0.85", func() int64 { return 1 + rand.Int64N(lines) })
}

// hot is the same when all clients change lines of the same 20 orders.
func (p *place) hot() ([]result, error) {
	return p.besides("one row of 20 hot groups", "0.75", func() int64 { return 1 + rand.Int64N(20*linesPerOrder) })
}

// paced is the application as it mostly is: it reads more than it writes, and
// waits for its users and its network, so that the cores are not full. What
// following takes is then time that nobody else wanted.
func (p *place) paced() ([]result, error) {
	none, err := p.shop("none", p.size.shop)
	if err != nil {
		return nil, err
	}
	watched, err := p.watched()
	if err != nil {
		return nil, err
	}
	var tps [2][]float64
	for n := range p.size.repeats {
		for i, s := range []*shop{none, watched} {
			p.say("%d of %d", n+1, p.size.repeats)
			if err := p.vacuum(s); err != nil {
				return nil, err
			}
			run := func() (load, error) { return p.visitors(s) }
			if s == watched {
				run = p.beside(following{URL: s.url, Latency: 50 * time.Millisecond}, run)
			}
			got, err := run()
			if err != nil {
				return nil, err
			}
			tps[i] = append(tps[i], got.tps)
		}
	}
	with, base := median(tps[1]), median(tps[0])
	return []result{{"throughput of an application that leaves the cores room: capture installed, and Upkeep following, a remote of 50 ms, 8 at once", "-",
		fmt.Sprintf("%.2f", with/base), fmt.Sprintf("%.0f of %.0f transactions a second, of four reads and an update, by %d clients that wait %s between them",
			with, base, visitors, thinking)}}, nil
}

// beside runs something while a follower is at work.
func (p *place) beside(f following, run func() (load, error)) func() (load, error) {
	return func() (load, error) {
		w, err := p.start(f)
		if err != nil {
			return load{}, err
		}
		p.followerPID = w.cmd.Process.Pid
		defer func() { p.followerPID = 0 }()
		got, err := run()
		if err != nil {
			w.kill()
			return load{}, err
		}
		return got, w.stop()
	}
}

// way is one of several ways to do the same, which are measured in turns.
type way struct {
	name, aim string
	shop      *shop
	run       func() (load, error)
}

// appWays are the application without anything, with Upkeep in several ways,
// with what is written by hand, and with the least that each of that can be.
func (p *place) appWays(aim string, pick func() int64) ([]way, error) {
	none, err := p.shop("none", p.size.shop)
	if err != nil {
		return nil, err
	}
	flag, err := p.with("flagged", dirtyFlag)
	if err != nil {
		return nil, err
	}
	watched, err := p.watched()
	if err != nil {
		return nil, err
	}
	floor, err := p.with("appended", appendedLines)
	if err != nil {
		return nil, err
	}
	compares, err := p.with("compares", comparesLines)
	if err != nil {
		return nil, err
	}
	noted, err := p.with("noted", loggedIfMapped)
	if err != nil {
		return nil, err
	}
	told, err := p.with("told", toldIfMapped)
	if err != nil {
		return nil, err
	}
	kept, err := p.with("kept", toldIfMapped+"; "+leasable)
	if err != nil {
		return nil, err
	}
	alone := func(s *shop) func() (load, error) {
		return func() (load, error) { return p.clients(s, pick) }
	}
	jobs, err := p.with("queued", jobQueue)
	if err != nil {
		return nil, err
	}
	followed := func(s *shop, kind string, latency time.Duration) func() (load, error) {
		return p.beside(following{URL: s.url, Kind: kind, Latency: latency}, alone(s))
	}
	const slow = 50 * time.Millisecond
	return []way{
		{"nothing", "", none, alone(none)},
		{"capture installed, and Upkeep following, a remote of 50 ms, 8 at once", aim, watched, followed(watched, "", slow)},
		{"the same, a remote that answers at once", "-", watched, followed(watched, "", 0)},
		{"capture installed, no Upkeep running", "-", watched, alone(watched)},
		{"comparison: a hand-written trigger that upserts a dirty flag, nobody following", "-", flag, alone(flag)},
		{"comparison: the same, and workers that send the whole record, a remote of 50 ms, 8 at once", "-", flag, followed(flag, byFlag, slow)},
		{"comparison: the same, a remote that answers at once", "-", flag, followed(flag, byFlag, 0)},
		{"comparison: a job for each change, and workers that send the whole record, a remote that answers at once", "-", jobs, followed(jobs, byJobs, 0)},
		{"floor: a trigger whose WHEN compares four columns, and never fires", "-", compares, alone(compares)},
		{"floor: a trigger that only appends the key to a table without an index, nobody following", "-", floor, alone(floor)},
		{"floor: the same, and a process that empties that table ten times a second, and sends nothing", "-", floor, followed(floor, byLog, 0)},
		{"floor: the least of it all: a trigger with such a WHEN appends the key, and a process folds, loads and sends, a remote of 50 ms, 8 at once", "-", noted, followed(noted, least, slow)},
		{"floor: a trigger with such a WHEN that tells what ours tells: order, time, transaction, old and new key, changed columns; nobody following", "-", told, alone(told)},
		{"floor: the same, and a process that folds, loads and sends, a remote of 50 ms, 8 at once", "-", told, followed(told, least, slow)},
		{"floor: the same, and that process leases what it takes, and records what it sent", "-", kept, followed(kept, keeps, slow)},
	}, nil
}

// besides measures the clients' throughput in several ways, in turns.
func (p *place) besides(what, aim string, pick func() int64) ([]result, error) {
	ways, err := p.appWays(aim, pick)
	if err != nil {
		return nil, err
	}
	ways = slices.DeleteFunc(ways, func(w way) bool { return w.name != "nothing" && !p.ways.MatchString(w.name) })
	tps, cpu, per := make([][]float64, len(ways)), make([][]time.Duration, len(ways)), make([][]parts, len(ways))
	for n := range p.size.repeats {
		for i, w := range ways {
			p.say("%s: %s, %d of %d", what, w.name, n+1, p.size.repeats)
			if err := p.vacuum(w.shop); err != nil {
				return nil, err
			}
			if err := p.forgetStatements(); err != nil {
				return nil, err
			}
			got, err := w.run()
			if err == nil {
				err = p.printStatements()
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			tps[i], cpu[i], per[i] = append(tps[i], got.tps), append(cpu[i], got.cpu), append(per[i], got.per)
		}
	}
	var out []result
	base := median(tps[0])
	for i, w := range ways[1:] {
		got := median(tps[i+1])
		out = append(out, result{"throughput, " + what + ": " + w.name, w.aim, fmt.Sprintf("%.2f", got/base),
			fmt.Sprintf("%.0f of %.0f transactions a second, %d clients", got, base, p.size.clients) +
				share(median(cpu[i+1]), median(cpu[0]), "transaction") + middle(per[i+1]).String()})
	}
	return out, nil
}

// watched is the shop with capture, all of it at the remote once.
func (p *place) watched() (*shop, error) {
	there := p.shops["watched"] != nil
	s, err := p.shop("watched", p.size.shop)
	if err != nil {
		return nil, err
	}
	if there {
		p.say("draining what the last row left")
	} else {
		p.say("backfilling %d groups", s.orders)
	}
	return s, p.backfilled(s)
}

// with is a shop of its own, with a trigger that is written by hand.
func (p *place) with(name, trigger string) (*shop, error) {
	there := p.shops[name] != nil
	s, err := p.shop(name, p.size.shop)
	if err == nil && !there {
		err = p.exec(s, trigger)
	}
	return s, err
}

// bulk is what statements over very many rows cost.
func (p *place) bulk() ([]result, error) {
	none, err := p.shop("bulk_none", p.size.bulk)
	if err != nil {
		return nil, err
	}
	watched, err := p.bulkWatched()
	if err != nil {
		return nil, err
	}
	flag, err := p.shop("bulk_flagged", p.size.bulk)
	if err != nil {
		return nil, err
	}
	if err := p.exec(flag, `CREATE TABLE IF NOT EXISTS dirty (order_id bigint PRIMARY KEY, since timestamptz NOT NULL);
		CREATE OR REPLACE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO dirty VALUES (NEW.id, now()) ON CONFLICT (order_id) DO UPDATE SET since = excluded.since;
			RETURN NULL;
		END $$;
		CREATE OR REPLACE TRIGGER mark AFTER UPDATE ON orders FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION mark();`); err != nil {
		return nil, err
	}
	floor, err := p.shop("bulk_floor", p.size.bulk)
	if err != nil {
		return nil, err
	}
	if err := p.exec(floor, appendOnly); err != nil {
		return nil, err
	}
	never, err := p.shop("bulk_never", p.size.bulk)
	if err != nil {
		return nil, err
	}
	if err := p.exec(never, neverFires); err != nil {
		return nil, err
	}
	took, cpu := map[string][]time.Duration{}, map[string][]time.Duration{}
	for n := range p.size.repeats {
		for _, c := range []struct {
			name, column string
			shop         *shop
		}{
			{"none, unmapped", "note", none}, {"watched, unmapped", "note", watched}, {"never, unmapped", "note", never},
			{"none, mapped", "ref_no", none}, {"watched, mapped", "ref_no", watched}, {"flagged, mapped", "ref_no", flag},
			{"floor, mapped", "ref_no", floor},
		} {
			p.say("%s, %d of %d", c.name, n+1, p.size.repeats)
			if err := p.vacuum(c.shop); err != nil {
				return nil, err
			}
			d, onCore, err := p.statement(c.shop, fmt.Sprintf("UPDATE orders SET %s = 'v%d-' || id", c.column, time.Now().UnixNano()))
			if err != nil {
				return nil, err
			}
			took[c.name], cpu[c.name] = append(took[c.name], d), append(cpu[c.name], onCore/time.Duration(p.size.bulk))
			if c.name == "watched, mapped" {
				if err := p.exec(watched, "TRUNCATE upkeep.touch"); err != nil {
					return nil, err
				}
			}
		}
	}
	calls, err := p.callsOfUnmapped(watched)
	if err != nil {
		return nil, err
	}
	line := func(what, aim, with, without, more string) result {
		a, b := median(took[with]), median(took[without])
		return result{fmt.Sprintf("bulk UPDATE of %d rows, %s", p.size.bulk, what), aim,
			fmt.Sprintf("%.2fx time%s", a.Seconds()/b.Seconds(), more),
			fmt.Sprintf("%d of %d ms", a.Milliseconds(), b.Milliseconds()) + share(median(cpu[with]), median(cpu[without]), "row")}
	}
	return []result{
		line("a column nobody maps", "1.05x time, 0 calls", "watched, unmapped", "none, unmapped", fmt.Sprintf(", %d calls", calls)),
		line("floor: a trigger with a WHEN over one number, of another column, which never fires", "-", "never, unmapped", "none, unmapped", ""),
		line("a mapped column", "1.8x time", "watched, mapped", "none, mapped", ""),
		line("floor: a trigger that only appends the key to a table without an index", "-", "floor, mapped", "none, mapped", ""),
		line("comparison: the trigger that upserts a dirty flag", "-", "flagged, mapped", "none, mapped", ""),
	}, nil
}

// appendOnly is the least that a trigger which writes something down can do.
const appendOnly = `CREATE TABLE IF NOT EXISTS appended (id bigint);
	CREATE OR REPLACE FUNCTION append() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO appended VALUES (NEW.id); RETURN NULL; END $$;
	CREATE OR REPLACE TRIGGER append AFTER UPDATE ON orders FOR EACH ROW WHEN (OLD.ref_no IS DISTINCT FROM NEW.ref_no) EXECUTE FUNCTION append();`

// callsOfUnmapped is how many calls a bulk update of an unmapped column makes.
func (p *place) callsOfUnmapped(s *shop) (int, error) {
	w, err := p.start(following{URL: s.url, Concurrency: 32})
	if err != nil {
		return 0, err
	}
	defer w.kill()
	if err := p.settle(s, time.Minute); err != nil {
		return 0, err
	}
	if _, err := w.figures(); err != nil {
		return 0, err
	}
	if err := p.exec(s, "UPDATE orders SET note = 'x' || id"); err != nil {
		return 0, err
	}
	if err := p.settle(s, time.Minute); err != nil {
		return 0, err
	}
	f, err := w.figures()
	if err != nil {
		return 0, err
	}
	return f.Calls, w.stop()
}

// bulkWatched is the shop for bulk changes, with capture, all of it at the
// remote once.
func (p *place) bulkWatched() (*shop, error) {
	there := p.shops["bulk_watched"] != nil
	s, err := p.shop("bulk_watched", p.size.bulk)
	if err != nil || there {
		return s, err
	}
	p.say("backfilling %d groups", s.orders)
	return s, p.backfilled(s)
}
