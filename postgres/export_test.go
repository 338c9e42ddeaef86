package postgres

// Claiming is the statement of a claim, to be explained.
const Claiming = claiming
