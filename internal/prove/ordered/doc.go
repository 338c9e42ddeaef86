// Package ordered compares what a sync that delivers every version sends with
// what each commit made of its records, over random transactions of several
// connections.
package ordered
