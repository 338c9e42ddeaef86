package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Rights implements [store.Catalog].
func (db *DB) Rights(ctx context.Context, shapes []*store.Shape) ([]store.Finding, error) {
	var found []store.Finding
	err := pgx.BeginTxFunc(ctx, db.pool, reading, func(tx pgx.Tx) error {
		server, err := serverFindings(ctx, tx)
		if err != nil {
			return err
		}
		found = append(server, clearFindings(db.pool.Config().ConnConfig)...)
		for _, w := range watches(shapes) {
			f, err := tableFindings(ctx, tx, w)
			if err != nil {
				return fmt.Errorf("examine %s: %w", w.name(), err)
			}
			found = append(found, f...)
		}
		f, err := openFindings(ctx, tx, shapes)
		if err != nil {
			return err
		}
		found = append(found, f...)
		f, err = indexFindings(ctx, tx, shapes)
		found = append(found, f...)
		return err
	})
	return found, err
}

// What is said of a server that follows another one, and what to do.
const (
	isStandby = "this server is a standby, which can't be written"
	toPrimary = "connect to the primary"
)

// writable refuses a standby, and a role that only reads, before the first statement that it would refuse.
func (db *DB) writable(ctx context.Context) error {
	var standby, readOnly bool
	var role string
	if err := db.pool.QueryRow(ctx, "SELECT pg_catalog.pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', current_user::text").Scan(&standby, &readOnly, &role); err != nil {
		return err
	}
	if standby {
		return errors.New(isStandby + ": " + toPrimary)
	}
	if readOnly {
		return fmt.Errorf("default_transaction_read_only is on for this database or role, and Upkeep has to write: ALTER ROLE %s SET default_transaction_read_only = off, or give it another role", quote(role))
	}
	return nil
}

func serverFindings(ctx context.Context, tx pgx.Tx) ([]store.Finding, error) {
	var version int
	var standby, create bool
	var database, schema, role string
	err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_database(), current_user,
		has_database_privilege(current_database(), 'CREATE'),
		coalesce((SELECT CASE WHEN pg_has_role(nspowner, 'USAGE') THEN 'ours' ELSE 'other' END
			FROM pg_namespace WHERE nspname = 'upkeep'), '')`).Scan(&version, &standby, &database, &role, &create, &schema)
	if err != nil {
		return nil, err
	}
	var found []store.Finding
	problem := func(message, fix string) {
		found = append(found, store.Finding{Severity: store.Problem, Subject: database, Message: message, Fix: fix})
	}
	if version < 130000 {
		problem(fmt.Sprintf("PostgreSQL %d is too old", version/10000), "upgrade to PostgreSQL 13 or newer")
	}
	if standby {
		problem(isStandby, toPrimary)
	}
	if schema == "" && !create {
		problem("the role may not create the schema upkeep", "GRANT CREATE ON DATABASE "+quote(database)+" TO "+quote(role)+", as the database's owner")
	}
	if schema == "other" {
		problem("the schema upkeep belongs to another role", "connect as the role that owns it")
	}
	return found, nil
}

func tableFindings(ctx context.Context, tx pgx.Tx, w *watch) ([]store.Finding, error) {
	var owner, super, hidden, inherited bool
	var unread []string // columns
	var role, ownerName, persistence string
	err := tx.QueryRow(ctx, `SELECT pg_has_role(c.relowner, 'USAGE'), (SELECT rolsuper FROM pg_roles r WHERE r.oid = c.relowner), CASE WHEN has_table_privilege(c.oid, 'SELECT') THEN '{}' ELSE
			ARRAY(SELECT a.name FROM unnest($2::text[]) AS a(name) WHERE NOT has_column_privilege(c.oid, a.name, 'SELECT')) END,
		row_security_active(c.oid), current_user, pg_get_userbyid(c.relowner), c.relpersistence::text,
		c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
		FROM pg_class c WHERE c.oid = to_regclass($1)`, quoteTable(w.table), names(slices.Concat(w.columns, w.virtual))).
		Scan(&owner, &super, &unread, &hidden, &role, &ownerName, &persistence, &inherited)
	if err == pgx.ErrNoRows {
		return []store.Finding{{Severity: store.Problem, Subject: w.name(), Message: "the table does not exist", Fix: "correct its name"}}, nil
	}
	if err != nil {
		return nil, err
	}
	var found []store.Finding
	problem := func(message, fix string) {
		found = append(found, store.Finding{Severity: store.Problem, Subject: w.name(), Message: message, Fix: fix})
	}
	grants := strings.Join(ownerGrants(w.table, ownerName, super, role), "; ")
	switch {
	case !owner && super: // membership would hand over all rights there are
		problem("only the table's owner may put triggers on it and take them off, and its owner "+ownerName+" is a superuser, which Upkeep's role must not become",
			"as a superuser, give the table to a role that is none, shop_owner say: "+grants)
	case !owner:
		problem("only the table's owner may put triggers on it and take them off", grants)
	}
	if len(unread) > 0 {
		quoted := make([]string, len(unread))
		for i, name := range unread {
			quoted[i] = quote(name)
		}
		problem("the role may not read the columns that are needed: "+strings.Join(unread, ", "),
			"GRANT SELECT ("+strings.Join(quoted, ", ")+") ON "+quoteTable(w.table)+" TO "+quote(role))
	}
	if hidden {
		problem("row-level security hides rows from the role", "ALTER ROLE "+quote(role)+" BYPASSRLS, as a superuser")
	}
	if persistence == "u" {
		found = append(found, store.Finding{Severity: store.Warning, Subject: w.name(),
			Message: "the table is unlogged: a crash empties it without a trace", Fix: "ALTER TABLE " + quoteTable(w.table) + " SET LOGGED"})
	}
	if inherited {
		found = append(found, store.Finding{Severity: store.Warning, Subject: w.name(),
			Message: "other tables inherit from it, and its primary key says nothing of their rows: two rows with one key hold up its syncs, or one of them is sent for both",
			Fix:     "keep the keys apart: one sequence for all these tables, or a column of the key that tells them apart"})
	}
	for _, c := range w.keys {
		if !keyable(c) {
			found = append(found, noKey(w.table, c, manyForms))
		}
	}
	return found, nil
}

// ownerGrants give a role the rights of a table's owner: triggers, and with them
// reading. No role is made a member of a superuser.
func ownerGrants(t store.Table, owner string, super bool, role string) []string {
	if super {
		return []string{"ALTER TABLE " + quoteTable(t) + " OWNER TO shop_owner", "GRANT shop_owner TO " + quote(role)}
	}
	return []string{"GRANT " + quote(owner) + " TO " + quote(role)}
}

// grants are the statements that give the role all it needs of a table whose
// schema it may not look into. The catalogue can be read all the same.
func (db *DB) grants(ctx context.Context, t store.Table) ([]string, error) {
	var usage, member, super bool
	var role, owner string
	err := db.pool.QueryRow(ctx, `SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE'), current_user::text,
			coalesce(pg_catalog.pg_get_userbyid(c.relowner)::text, ''), c.oid IS NULL OR pg_catalog.pg_has_role(c.relowner, 'USAGE'),
			coalesce((SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = c.relowner), false)
		FROM pg_catalog.pg_namespace n
		LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2 AND c.relkind IN ('r', 'p')
		WHERE n.nspname = $1`, t.Schema, t.Name).Scan(&usage, &role, &owner, &member, &super)
	if err != nil {
		return nil, err
	}
	var out []string
	if !usage {
		out = append(out, "GRANT USAGE ON SCHEMA "+quote(t.Schema)+" TO "+quote(role))
	}
	if !member {
		out = append(out, ownerGrants(t, owner, super, role)...)
	}
	return out, nil
}

const manyForms = "it has no one way to be written"

// keyable says whether a key of the column's type can be written as text and
// read back the same in every session.
func keyable(c store.Column) bool {
	switch c.Kind {
	case store.Int, store.Decimal, store.Text, store.Bool, store.Date, store.Time:
		return true
	}
	return c.Type == "oid" || c.Type == "inet" || c.Type == "macaddr"
}

// KeyFault implements [store.KeyJudge].
func (db *DB) KeyFault(ctx context.Context, c store.Column) (why string, err error) {
	if keyable(c) {
		return "", nil
	}
	err = db.pool.QueryRow(ctx, keyFault, c.Type).Scan(&why)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	return cmp.Or(why, manyForms), nil
}

// indexFindings warns of every foreign key on a path that has no index on the
// side where rows are looked for.
func indexFindings(ctx context.Context, tx pgx.Tx, shapes []*store.Shape) ([]store.Finding, error) {
	infos := map[store.Table]*store.TableInfo{}
	var found []store.Finding
	seen := map[string]bool{}
	need := func(t store.Table, columns []store.Column, why string) error {
		if infos[t] == nil {
			info, err := readTable(ctx, tx, t)
			if err != nil {
				return err
			}
			infos[t] = info
		}
		wanted := names(columns)
		if len(wanted) == 0 || slices.ContainsFunc(infos[t].Indexes, func(index []string) bool { return leads(index, wanted) }) {
			return nil
		}
		subject := t.String() + "." + strings.Join(wanted, ",")
		if seen[subject] {
			return nil
		}
		seen[subject] = true
		quoted := make([]string, len(wanted))
		for i, name := range wanted {
			quoted[i] = quote(name)
		}
		on := "CREATE INDEX CONCURRENTLY ON "
		if partitioned, err := isPartitioned(ctx, tx, t); err != nil {
			return err
		} else if partitioned {
			on = "CREATE INDEX ON "
		}
		found = append(found, store.Finding{Severity: store.Warning, Subject: subject,
			Message: "there is no index, so every " + why + " reads the whole table",
			Fix:     on + quoteTable(t) + " (" + strings.Join(quoted, ", ") + ")"})
		return nil
	}
	var err error
	for _, s := range shapes {
		s.Root.Walk(func(_ string, m, parent *store.Member) {
			if err != nil || parent == nil {
				return
			}
			// Down, to load; up, to find whom a change concerns.
			err = need(m.Table, upward(m), "load of "+m.Name)
			if err == nil {
				err = need(parent.Table, across(m), "change of "+m.Table.Name)
			}
		})
	}
	return found, err
}

func isPartitioned(ctx context.Context, tx pgx.Tx, t store.Table) (p bool, err error) {
	err = tx.QueryRow(ctx, "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)", quoteTable(t)).Scan(&p)
	return p, err
}

// leads says whether an index serves a search for all the wanted columns: one
// of them at least is its first.
func leads(index, wanted []string) bool {
	return len(index) > 0 && slices.Contains(wanted, index[0])
}
