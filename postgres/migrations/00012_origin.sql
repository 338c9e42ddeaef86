-- +goose Up

-- Which database this is, as it was seen last, and when it turned out to be
-- another one.
ALTER TABLE upkeep.settings ADD COLUMN origin text, ADD COLUMN restored_at timestamptz;

-- +goose Down
ALTER TABLE upkeep.settings DROP COLUMN origin, DROP COLUMN restored_at;
