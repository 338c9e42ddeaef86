package postgres

// Claiming is the statement of a claim, to be explained.
const Claiming = claiming

// The advisory locks that a process holds while it migrates and installs.
const (
	LockMigrate = lockMigrate
	LockInstall = lockInstall
)

// Dial is how [Open] dials.
var Dial = dialer().DialContext
