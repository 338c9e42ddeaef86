package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// guide is what --help of a command says beside its flags.
type guide struct {
	more     string // what the one line of the command leaves open
	statuses string // exit statuses; empty: the usual ones
	examples []string
}

const usualStatuses = "0 done; 1 the command failed; 2 wrong usage or configuration."

// stateWords are the states of a group, a line for each.
const stateWords = `

The state of a group is one of:

    clean     the remote has acknowledged what the database says
    dirty     something changed; it is sent as soon as its turn comes, or tried again
    claimed   a process is at it now
    in doubt  a request got no answer: it may still be applied, and the record is sent once more when that can be no longer
    waiting   for another record that it refers to; the success of that one wakes it
    parked    refused, or given up after 12 tries; only new data, a new mapping or a person ends it: upkeep explain says why
    gone      no record, and none wanted: deleted, or "when" is false
    skipped   as clean, but for what a person has left as it is at the remote: upkeep skip`

// faultWords are the kinds of fault of a sandbox, a line for each, with the fields
// that make its error.
func faultWords(status string) string {
	return `

The kinds of fault; op, type, method and path say which requests, probability, skip and count how many of them:

    latency   waits (latency, latency_max), then answers as usual
    status    answers with that status (` + status + `); applied: true performs the request all the same
    reset     breaks the connection; applied: true performs the request all the same
    hang      never answers, and does nothing
    late      never answers, and performs the request after delay
    html      answers 200 with a page, as gateways do
    empty     answers 200 without a body`
}

const bulkFaultWords = `
    short     answers 200 with a list that lacks its last entry
    row       refuses single records with code, whatever brought them
    fail_job  ends a bulk job as failed once skip rows are done
    overload  refuses all records of a request that writes more than skip, as triggers do that go over a limit`

// guides are those of the commands, by their words.
var guides = map[string]guide{
	"init": {
		more:     "It reads the database's catalogue and no row. What looks like a secret is left out, with a comment. The file that it writes passes upkeep check as it is, but for what the database itself is to change: a right that is missing, row-level security.",
		examples: []string{"upkeep init --source sqlite:shop.db", "upkeep init --source postgres://upkeep@localhost/shop --table orders --table sales.invoices"},
	},
	"check": {
		more:     "It changes nothing. A note says what could not be tried; a warning is about what works, but slowly or not for long; a problem is about what will not work.",
		statuses: "0 no problems; 1 problems were found, or the command failed; 2 wrong usage, or there is no configuration to read.",
		examples: []string{"upkeep check", "upkeep check -c staging.yaml --json"},
	},
	"plan": {
		more:     "It works before anything is installed.",
		statuses: "0 nothing to do; 1 the command failed; 2 wrong usage or configuration; 3 there is something to do: to install, or with --records also to send.",
		examples: []string{"upkeep plan", "upkeep plan --records --sync sales_order --limit 5"},
	},
	"apply": {
		more:     "It makes Upkeep's own tables and the triggers, and asks for the backfill of new syncs and the sweep of changed ones; upkeep run does these, and sends only the records whose representation changed. An upkeep run with another configuration stops by itself.",
		examples: []string{"upkeep apply", "upkeep apply --yes"},
	},
	"run": {
		more:     "It installs the triggers, sends every record once (a backfill), and then follows the changes until it is interrupted. Any number of processes may run on one database: they share the work and the remotes' limits. With --once it gives up when all that is left is of syncs whose rows could not be read for twenty seconds, or goes to remotes that failed five times in a row and once more since it began; --within lets it wait for so long instead.",
		statuses: "0 stopped as it was told, or with --once nothing is left to do; 1 the command failed, or with --once there was still work after --within, or nothing moved since a remote fails; 2 wrong usage or configuration; 3 with --once: quiet, but not all is at the remotes, and waiting changes nothing: groups are parked, wait for a record that is not there, or are held back by a pause.",
		examples: []string{"upkeep run", "upkeep run --once --within 10m", "upkeep run --log-format json --listen 127.0.0.1:9090"},
	},
	"top":    {more: "The columns are those of upkeep status, whose --help explains them; CALLS/S are the calls in a second since the look before.", examples: []string{"upkeep top", "upkeep top --every 5s"}},
	"status": {more: "A group is a row of a sync's root table with all the rows that belong to its record. LAG is for how long the oldest change has waited that is due to be sent: not what is parked, or waits for another record. CALLS are the requests made so far for the sync; SAVED are the calls that were not made: several changes of a record went in one call, or nothing differed. SLOTS HELD are the calls that processes may make at once, UNDER WAY those that they make now, and for how long." + stateWords, examples: []string{"upkeep status", "upkeep status --state parked", "upkeep status sales_order --state waiting --limit 20", "upkeep status --watch --every 5s"}},
	"explain": {
		more:     "A group is a row of the sync's root table with all the rows that belong to its record. It is shown what the database says, what the record is to be, what would be sent, what was tried, and what it waits for. Nothing is changed and no remote is called.",
		statuses: "0 something is known of the group; 1 nothing is, or the command failed; 2 wrong usage or configuration.",
		examples: []string{"upkeep explain sales_order 42", "upkeep explain price 42,eu --json"},
	},
	"doctor": {
		more:     "For the configuration itself, before anything is installed, there is upkeep check.",
		statuses: "0 no problems; 1 problems were found, or the command failed; 2 wrong usage or configuration.",
		examples: []string{"upkeep doctor", "upkeep doctor --json"},
	},
	"verify": {
		more:     "It reads every record, on what upkeep run leaves of the remote's limits. A group that is not clean is listed with its state: it may differ because the change is still on its way. Syncs whose remote can't be read back, such as a webhook, are left out, and named. With keys only their groups are read.",
		statuses: "0 nothing differs but what is on its way or waits for another record, or with --fix what differs will be sent again; 1 something differs that nothing sends by itself, or the command failed; 2 wrong usage or configuration.",
		examples: []string{"upkeep verify", "upkeep verify sales_order --fix", "upkeep verify sales_order 42 43"},
	},
	"audit": {
		more:     "It calls no remote. What it finds is noted for upkeep doctor, and sent by the running upkeep run, which does the same all the time with a few groups.",
		statuses: "0 nothing was missed; 1 something was, or a sync could not be audited; 2 wrong usage or configuration. A sync that does not fit the tables is 2, unless something was missed in the others.",
		examples: []string{"upkeep audit", "upkeep audit sales_order"},
	},
	"pause":  {more: "Within a second no process sends anything more to it. It stays so, whoever stops and starts, until upkeep resume.", examples: []string{"upkeep pause netsuite --reason 'month end'", "upkeep pause sync:customer"}},
	"resume": {more: "After wrong credentials were mended, or an outage is over, it need not be waited until the breaker of the remote is tried again: whether it was paused or not, upkeep run probes it within a second.", examples: []string{"upkeep resume netsuite"}},
	"backfill": {
		more:     "It waits until all is sent. It is not needed after a change of the configuration, when upkeep run does it by itself, and refuses another configuration than the one that is installed. To let upkeep run do it, and not wait: upkeep resync.",
		statuses: "0 all is sent, or waits for another record; 1 the command failed; 2 wrong usage or configuration; 3 all rows were passed over, but groups are parked, or held back by a pause.",
		examples: []string{"upkeep backfill", "upkeep backfill sales_order"},
	},
	"resync": {
		more:     "The running upkeep run looks at the rows and sends what differs; this command does not wait for it.",
		examples: []string{"upkeep resync sales_order 42", "upkeep resync sales_order --force", "upkeep resync sales_order --deleted --missing 1098", "upkeep resync --all"},
	},
	"retry": {
		more:     "For what is mended: a remote's refusal, a right, the data of another record. What was changed in the group's own rows needs no retry. A remote whose breaker is open is probed at once.",
		examples: []string{"upkeep retry sales_order 42", "upkeep retry --all", "upkeep retry ticket 7 --is 90125"},
	},
	"skip": {more: "For what the remote will never take: a field of a closed period, the lines of a fulfilled order. The record stays as it is there, and upkeep run sends only what changes from now on; status counts it as skipped, and upkeep resync SYNC KEY --force sends it again. Of a sync that delivers every version, the oldest one that waits is dropped for good. The group's history says so.",
		examples: []string{"upkeep skip sales_order 42"}},
	"deletes":            {more: "Nothing that was held goes out before somebody looked. While deletes go on coming, allow the number that you saw: no more than that go, and what is beyond it is held again. A row that came back meanwhile is no delete any more.", examples: []string{"upkeep deletes", "upkeep deletes customer --allow 250"}},
	"interventions":      {more: "What was done by hand is what these commands did: pause, resume, retry, skip, resync, backfill, deletes --allow, verify --fix and forget, and whoever put one configuration in the place of another. It is noted in the database before it is done, by whatever program does it, so that what was refused then is listed as well, and kept for a year. BY is the user of the operating system, and on PostgreSQL the role that logged in.", examples: []string{"upkeep interventions", "upkeep interventions sales_order 42", "upkeep interventions --limit 1000 --json"}},
	"forget":             {more: "For who asks that their data be erased: delete the row, wait until its record is gone, then this. The group, its history and its key in the list of what was done by hand go; the list says that a group was forgotten, and by whom. Without it that is forgotten thirty days after the record is gone, the list after a year. A record that is kept at the remote is forgotten with --kept only: another one may be made if the row comes back.", examples: []string{"upkeep forget customer 7"}},
	"uninstall":          {more: "Its triggers, tables and functions go; the application's tables and the records at the remotes stay. Stop every upkeep run first.", examples: []string{"upkeep uninstall", "upkeep uninstall --yes"}},
	"sandbox netsuite":   {more: "It prints the lines for upkeep.yaml, and how faults are set and records changed by hand." + faultWords("status, retry_after"), examples: []string{"upkeep sandbox netsuite", "upkeep sandbox netsuite --latency 50ms --field custentity_born:date"}},
	"sandbox salesforce": {more: "It prints the lines for upkeep.yaml, and how faults are set and records changed by hand." + faultWords("status, code, message, retry_after") + bulkFaultWords, examples: []string{"upkeep sandbox salesforce --daily 1000"}},
	"sandbox webhook":    {more: "It prints the lines for upkeep.yaml.", examples: []string{"upkeep sandbox webhook"}},
	"demo": {
		more:     "Until it is interrupted, an application changes the shop at random.",
		statuses: "0 ended as it was told, with --once all is in sync; 1 the command failed, or with --once something is not; 2 wrong usage.",
		examples: []string{"upkeep demo", "upkeep demo --once --remotes all"},
	},
	"completion": {examples: []string{"source <(upkeep completion bash)", "source <(upkeep completion zsh)", "upkeep completion fish | source"}},
	"version":    {examples: []string{"upkeep version"}},
}

// text is the guide as kong prints it: paragraphs, and indented examples.
func (g guide) text() string {
	statuses := g.statuses
	if statuses == "" {
		statuses = usualStatuses
	}
	parts := []string{"Exit statuses: " + statuses, "Examples:", "    " + strings.Join(g.examples, "\n    ")}
	if g.more != "" {
		parts = append([]string{g.more}, parts...)
	}
	return strings.Join(parts, "\n\n")
}

// keyWords say how the key of a group is typed.
const keyWords = `A key of several columns is their values in the order of the primary key, with commas between: 42,eu; a comma or a backslash inside a value has a backslash before it: 'Smith\, Ann,eu'. A key of one column is typed as it is, with its commas. One that begins with a minus and no digit goes behind --.`

// words are those of a command, without its arguments: "sandbox netsuite".
func words(n *kong.Node) string {
	if n.Parent == nil || n.Parent.Type == kong.ApplicationNode {
		return n.Name
	}
	return words(n.Parent) + " " + n.Name
}

// guided gives every command its guide, and those that take a key how it is typed.
func guided(k *kong.Kong) *kong.Kong {
	for _, n := range k.Model.Leaves(false) {
		g := guides[words(n)]
		if slices.ContainsFunc(n.Positional, func(a *kong.Positional) bool { return a.Name == "key" }) {
			g.more = strings.TrimSpace(g.more + "\n\n" + keyWords)
		}
		n.Detail = g.text()
	}
	return k
}
