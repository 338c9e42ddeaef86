package main

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// used is how long the connection's server process has been on a core, which
// says what a statement costs even where others share the cores. Only Linux
// tells; elsewhere it is zero.
func used(c *pgxpool.Conn) time.Duration { return onCore(int(c.Conn().PgConn().PID())) }

// share is a comparison of times on a core, for the details of a row.
func share(with, without time.Duration, of string) string {
	if with == 0 || without == 0 {
		return ""
	}
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	return fmt.Sprintf("; %.1f of %.1f us of the server's CPU a %s: %.2fx", us(with), us(without), of, with.Seconds()/without.Seconds())
}
