package protocol

// class is how the remote treats a create that is repeated.
type class uint8

const (
	upsert class = iota // the external key is unique: a second create updates
	lookup              // it is not: a second create makes a second record
	blind               // nor can a record be looked up
)

// rules are those that a broken variant leaves out. The zero value is the
// protocol.
type rules struct {
	syncedIsNow     bool // synced = the generation when recording, not the claimed one
	noEpochGuard    bool // a result is recorded whoever holds the group by then
	noDoubt         bool // an unknown outcome is only tried again
	syncedEndsDoubt bool // an answer to a later request ends the doubt
	skipInDoubt     bool // equal digests save the call even in doubt
	forcedIsFlag    bool // forced is cleared by any sync, also of an older claim
	settleEarly     bool // settled while the old request may still land
	noKey           bool // created without an external key
	claimInDoubt    bool // class Lookup: created again before the doubt is over
	createUnfound   bool // class Lookup: created again without a find
	remakeInDoubt   bool // class Lookup: an update finds no record, so create at once
	deleteUnfound   bool // nor is one of another id looked for than the deleted
	settledUnfound  bool // or only while it is in doubt, and not when that is over
	removeUnfound   bool // once settled, no remote id is taken for no record
	hiddenIsDeleted bool // a row that the load does not see counts as deleted
	evidenceSpent   bool // a delete counts as seen only until the next sync
	evidenceStays   bool // a delete counts as seen after the row came back
	presentForGood  bool // or once the row was there, also of a delete that came after
	parkOverTouch   bool // a refusal parks a group that was touched meanwhile
	touchRepeats    bool // class Blind: a touch makes what may have been made
	goneRepeats     bool // class Blind: so does a record that is gone
	goneForSure     bool // class Blind: after a restore, what was deleted is gone
	goneAtOnce      bool // class Blind: it is made under the claim that found it gone
	unsweptMade     bool // class Blind: so does a restore, before the sweep
	notNoticed      bool // nobody notices a restore
	restoredUnfound bool // class Lookup: after one, created without a find
	deletesGo       bool // after one, deletes go without a person
	forcedGo        bool // after one, those that the sweep forces do
	noRest          bool // after one, groups are claimed at once
	sweepsRows      bool // after one, only groups are forced whose row is there
	epochsRestart   bool // after one, epochs go on from the backup's
	anyMapping      bool // a process with another mapping than the installed one goes on
	mappingUnswept  bool // a deployment asks for no sweep
	installsAtOnce  bool // a new installation begins while requests of an earlier one may land
	firstUnforced   bool // its first sweep forces nothing
	firstUnfound    bool // class Lookup: nor is looked for what is touched before that came to it
	unknownIsGone   bool // nor, once its row is deleted, what was never sent
	keptSettles     bool // what is kept as it is ends a doubt
	unknownIsSure   bool // or one of a group for which nothing is known to have gone out
	forgetsInDoubt  bool // a group is forgotten while a request of it may land
	foldTwice       bool // allowed: the log is deleted after the raise, not with it
}
