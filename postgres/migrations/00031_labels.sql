-- +goose Up

-- What the labels of enums were called that a sync reads, to notice that one has got
-- another name: no row changes then, and the configuration may compare with the old one.
ALTER TABLE upkeep.syncs ADD COLUMN labels jsonb;

-- +goose Down
ALTER TABLE upkeep.syncs DROP COLUMN labels;
