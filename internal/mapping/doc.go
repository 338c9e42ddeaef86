// Package mapping compiles the expressions of a configuration: which value a
// field of the remote record has, when a row is to be at the remote, what its
// external id is.
//
// An expression is written in the syntax of github.com/expr-lang/expr, whose
// parser reads it. It is checked here against the database's catalogue and
// turned into Go functions, because four things must hold that a general
// evaluator does not give:
//
//   - Numbers are exact. 0.21 is a decimal, integers and decimals mix, and /
//     always gives a decimal, rounded half away from zero to 16 decimal
//     places. Only a floating-point column brings floating point in.
//   - NULL is null. A null operand makes + - * / % and the text functions
//     null, and so does a member of a null row (billing.vat of an order
//     without billing). == and != take null as a value of its own; < <= > >=
//     in, contains and the like are false when a side is null; a null
//     condition is false. ?? and coalesce replace a null. sum, min, max and
//     join pass nulls over; the sum of nothing is 0.
//   - Nothing is read that was not seen. Compiling notes, for each relation,
//     the columns that are read ([Table.Columns]), and refuses what it can't
//     follow (a row indexed by a value). A has_many that is only counted or
//     summed is left to the database ([Table.OnlyAggregates]).
//   - It is pure: there is no clock, no randomness and no environment.
//
// Names at the top level are the root table's columns and relations; in a
// closure .name is a member of the element, # the element and #index its
// position. $env["Order No"] reads a column whose name is not an identifier.
package mapping
