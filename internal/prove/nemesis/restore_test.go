package nemesis

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// restored is a fault after which the registry is of an earlier time.
func restored(name string, own bool, inject func(*world)) fault {
	return fault{name: name, class: lookup, times: 1, own: own, restored: true, served: true, inject: func(w *world) {
		was, triggers := w.one("select coalesce(max(restored_at)::text, '') from upkeep.settings"), w.one(guarded)
		inject(w)
		w.until("the restore to be noticed", func() bool {
			return w.one("select coalesce(max(restored_at)::text, '') from upkeep.settings") != was
		})
		// The remote is let be. All that was under way comes to its end, the
		// capture is put back, and all rows are looked at.
		end := time.Now().Add(w.config.Lease)
		w.until("calls of before to end", func() bool { return time.Now().After(end) && w.place.Remote.Busy() == 0 })
		w.until("the capture to be back", func() bool { return w.one(guarded) == triggers })
		w.until("the sweep to end", func() bool { return w.one("select count(*) from upkeep.syncs where pass <> ''") == "0" })
		if err := w.place.Forget(w.ctx); err != nil {
			w.t.Fatal(err)
		}
		if err := w.place.Advance(w.ctx, time.Minute); err != nil {
			w.t.Fatal(err)
		}
		if *rounds > 1 { // the workers look at the pause when they thought that it ends
			w.progress(10)
		}
	}}
}

// guarded is how many triggers are in place.
const guarded = "select count(*) from pg_trigger where tgname like 'upkeep%' and tgenabled = 'A'"

// release lets the deletes go that are held since the registry was restored:
// none went before.
func (w *world) release() {
	if err := w.place.Heal(w.ctx); err != nil {
		w.t.Fatalf("heal: %v", err)
	}
	went, err := w.place.AllowDeletes(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if went > 0 {
		w.t.Errorf("%d records were deleted after the restore, and nobody allowed it", went)
	}
}

// dump is one of the schema, to be put back as psql does.
func dump(w *world) string {
	dump, err := w.server.Dump(w.name, "upkeep")
	if err != nil {
		w.t.Fatal(err)
	}
	return "drop schema upkeep cascade;" + dump + "; reset all"
}

// copies are of the registry's rows, to be put back into the tables that are
// there, as COPY does.
func copies(w *world) string {
	var tables []string
	text := w.one("select string_agg(quote_ident(relname), ' ') from pg_class where relnamespace = 'upkeep'::regnamespace and relkind = 'r'")
	save := "create schema saved"
	for _, t := range strings.Fields(text) {
		tables = append(tables, "upkeep."+t)
		save += "; create table saved." + t + " as table upkeep." + t
	}
	w.exec("begin isolation level repeatable read; " + save + "; commit")
	back := "truncate " + strings.Join(tables, ", ")
	for _, t := range strings.Fields(text) {
		back += "; insert into upkeep." + t + " overriding system value table saved." + t
	}
	return back + "; drop schema saved cascade"
}

// atWork restores while the workers run.
func atWork(backup func(*world) (restore string)) func(*world) {
	return func(w *world) {
		restore := backup(w)
		w.progress(20)
		w.putBack(restore)
	}
}

// stopped restores while no worker runs.
func stopped(backup func(*world) (restore string)) func(*world) {
	return func(w *world) {
		restore := backup(w)
		w.progress(20)
		for _, p := range w.workers {
			p.Signal(syscall.SIGTERM)
		}
		for _, p := range w.workers {
			<-p.Done()
		}
		w.written(20)
		w.putBack(restore)
		for range processes {
			w.start()
		}
	}
}

// putBack restores, in one transaction, between two of the application.
func (w *world) putBack(sql string) {
	w.between.Lock()
	defer w.between.Unlock()
	w.until("the restore", func() bool {
		conn, err := w.place.App.Conn(w.ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		defer conn.Close()
		_, err = conn.ExecContext(w.ctx, "begin; "+sql+"; commit")
		if err == nil {
			if err := w.place.Restored(w.ctx); err != nil {
				w.t.Fatal(err)
			}
			return true
		}
		if !strings.Contains(err.Error(), "40P01") {
			w.t.Fatal(err)
		}
		_, _ = conn.ExecContext(w.ctx, "rollback") // it lost against a worker
		return false
	})
}

// failover kills the server while its standby is behind, and lets the standby
// take over.
func failover(w *world) {
	link, err := OpenProxy(w.db.to)
	if err != nil {
		w.t.Fatal(err)
	}
	defer link.Close()
	standby := w.server.Follow(w.t, link.Addr())
	w.progress(20)
	link.Freeze()
	w.written(50)
	w.progress(20)
	w.between.Lock()
	defer w.between.Unlock()
	link.Cut()
	w.server.TakeOver(w.t, standby)
	w.place.App.SetMaxIdleConns(0) // the connections are dead
	w.until("the database", func() bool { _, err := w.place.App.ExecContext(w.ctx, "select 1"); return err == nil })
	w.place.App.SetMaxIdleConns(2)
	if err := errors.Join(w.place.Rewind(w.ctx), w.place.Restored(w.ctx)); err != nil {
		w.t.Fatal(err)
	}
}

// one is the only value of a query, as text.
func (w *world) one(query string) string {
	w.t.Helper()
	var v any
	if err := w.place.App.QueryRowContext(w.ctx, query).Scan(&v); err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprint(v)
}
