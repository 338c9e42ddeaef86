-- +goose Up

-- What the remote itself said last of how many requests are used of those that
-- it allows, by all of its users.
ALTER TABLE upkeep_remotes ADD COLUMN quota_used INTEGER;
ALTER TABLE upkeep_remotes ADD COLUMN quota_limit INTEGER;
ALTER TABLE upkeep_remotes ADD COLUMN quota_at INTEGER;
