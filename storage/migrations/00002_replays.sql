-- +goose Up
ALTER TABLE scores ADD COLUMN packed bytea; -- a replay's breakdown; the live scoring's is in rewards, a row a layer

-- +goose Down
ALTER TABLE scores DROP COLUMN packed;
