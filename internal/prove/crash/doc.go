// Package crash kills a process at every named point, with every kind of
// change under way, starts another one and asks the oracle.
package crash
