package main

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// countStatements lets the server count from now on.
func (p *place) countStatements() error {
	return p.admin("CREATE EXTENSION pg_stat_statements")
}

// printStatements prints what took most of the database's time since the last
// call, over all databases.
func (p *place) printStatements() error {
	if !p.statements {
		return nil
	}
	fmt.Fprintln(p.progress)
	c, err := pgx.Connect(p.ctx, p.server.URL())
	if err != nil {
		return err
	}
	defer c.Close(p.ctx)
	rows, err := c.Query(p.ctx, `SELECT calls, total_exec_time + total_plan_time, rows, query FROM pg_stat_statements
		ORDER BY 2 DESC LIMIT 40`)
	if err != nil {
		return err
	}
	var calls, n int64
	var ms float64
	var query string
	_, err = pgx.ForEachRow(rows, []any{&calls, &ms, &n, &query}, func() error {
		query = strings.Join(strings.Fields(query), " ")
		_, err := fmt.Fprintf(p.progress, "%10.0f ms %8d calls %8.1f us each %9d rows  %.160s\n", ms, calls, ms*1000/float64(calls), n, query)
		return err
	})
	if err != nil {
		return err
	}
	return p.forgetStatements()
}

// forgetStatements begins to count anew.
func (p *place) forgetStatements() error {
	if !p.statements {
		return nil
	}
	return p.admin("SELECT pg_stat_statements_reset()")
}

// admin runs a statement in the server's own database.
func (p *place) admin(sql string) error {
	c, err := pgx.Connect(p.ctx, p.server.URL())
	if err != nil {
		return err
	}
	defer c.Close(p.ctx)
	_, err = c.Exec(p.ctx, sql)
	return err
}
