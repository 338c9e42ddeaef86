-- +goose Up

-- A table without a key can't be deleted from once a publication names it, or all
-- tables. The index that was there has the same columns, and costs the same.
ALTER TABLE upkeep.attempts ADD PRIMARY KEY (sync, key, id);
DROP INDEX upkeep.attempts_group;

-- +goose Down
CREATE INDEX attempts_group ON upkeep.attempts (sync, key, id);
ALTER TABLE upkeep.attempts DROP CONSTRAINT attempts_pkey;
