package store

import (
	"context"
	"time"
)

// Forgetting is the part of a registry that erases what it has of groups that are gone.
// A group that is made under a key again later begins, when it is claimed first, above
// the generation of every one that was forgotten.
type Forgetting interface {
	// Forget erases a group that is [Gone], or with kept one that is up to date and whose
	// root row was seen to be deleted, with its history, and its key in what was done by
	// hand; of one that is not in the registry, what there is else. done is false, and
	// nothing is changed, where there is nothing, for any other group, for one that
	// another one refers to or waits for (by, if that is why), and for [VersionsEnd] for
	// one whose versions were delivered.
	Forget(ctx context.Context, id ID, kept bool) (done bool, by ID, err error)
	// ForgetGone erases, in bounded pieces, groups and their history that are gone for
	// longer than keep, a day at least, and of which the deletion of the root row was seen.
	// What was done by hand keeps their keys.
	ForgetGone(ctx context.Context, keep time.Duration) error
}

// VersionsEnd is for how long a group is kept whose versions were delivered: a
// transaction that does not see yet that it has ended may commit one more.
const VersionsEnd = 24 * time.Hour
