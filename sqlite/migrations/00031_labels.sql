-- +goose Up

-- What the labels of enums were called that a sync reads, to notice that one has got
-- another name: no row changes then, and the configuration may compare with the old one.
ALTER TABLE upkeep_syncs ADD COLUMN labels TEXT;

-- +goose Down
ALTER TABLE upkeep_syncs DROP COLUMN labels;
