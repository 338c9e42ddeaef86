-- +goose Up

-- What the remote itself said last of how many requests are used of those that
-- it allows, by all of its users.
ALTER TABLE upkeep.remotes ADD COLUMN quota_used bigint, ADD COLUMN quota_limit bigint, ADD COLUMN quota_at timestamptz;

-- +goose Down
ALTER TABLE upkeep.remotes DROP COLUMN quota_used, DROP COLUMN quota_limit, DROP COLUMN quota_at;
