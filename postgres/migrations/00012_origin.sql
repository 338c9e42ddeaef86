-- +goose Up

-- Which database this is, as it was seen last, and when it turned out to be
-- another one. written_by is the transaction that wrote the row last, as it says
-- itself: rows that were put back from a backup were written by another one.
ALTER TABLE upkeep.settings ADD COLUMN origin text, ADD COLUMN restored_at timestamptz, ADD COLUMN written_by xid8;

-- +goose Down
ALTER TABLE upkeep.settings DROP COLUMN origin, DROP COLUMN restored_at, DROP COLUMN written_by;
