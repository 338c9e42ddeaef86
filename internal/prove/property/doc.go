// Package property compares capture, fold and load with a recomputation of
// everything, over random tables, relations and changes. What the application
// gets to see is compared too, with the same database without Upkeep in it.
package property
