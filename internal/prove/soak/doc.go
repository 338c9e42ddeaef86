// Package soak lets a process work for long, with changes and faults in turns, and
// looks at what it holds on to in the pauses: its heap, its goroutines and its
// open files don't grow.
package soak
