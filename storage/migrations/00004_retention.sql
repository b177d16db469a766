-- What a run may lose after a while, and what it has lost; and functions that lesser roles may call.

-- +goose Up
CREATE TABLE retention (                  -- one row: what is kept; 0 keeps all
  one         bool PRIMARY KEY DEFAULT true CHECK (one),
  weights     int NOT NULL CHECK (weights >= 0),    -- newest versions of a run that keep their weights
  optimisers  int NOT NULL CHECK (optimisers >= 0), -- newest versions that keep their optimiser's state
  iterations  int NOT NULL CHECK (iterations >= 0), -- newest iterations that keep their trajectories
  finished    interval NOT NULL CHECK (finished >= '0'), -- age at which runs that have ended lose their trajectories
  updated_at  timestamptz NOT NULL DEFAULT now()
);

-- When the content was given up. The digests stay: they say what it was.
ALTER TABLE policy_versions ADD COLUMN weights_dropped timestamptz, ADD COLUMN optimiser_dropped timestamptz;
ALTER TABLE iterations ADD COLUMN dropped timestamptz;

-- drop_run gives up all bulk rows of a run, with the disk that they take. open_run makes empty partitions again.
-- +goose StatementBegin
CREATE FUNCTION drop_run(r uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('open_run:' || r::text, 0));
  FOREACH parent IN ARRAY ARRAY['trajectories', 'steps', 'scores', 'rewards', 'targets', 'search_nodes'] LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I', parent || '_' || replace(r::text, '-', ''));
  END LOOP;
END $$;
-- +goose StatementEnd

-- A worker owns no table, and makes partitions all the same: as the owner, and of these tables alone.
-- +goose StatementBegin
DO $$
DECLARE
  f text;
BEGIN
  FOREACH f IN ARRAY ARRAY['open_run(uuid)', 'analyze_run(uuid)', 'drop_run(uuid)'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
  END LOOP;
END $$;
-- +goose StatementEnd
ALTER FUNCTION open_run(uuid) SECURITY DEFINER;
ALTER FUNCTION analyze_run(uuid) SECURITY DEFINER;

-- +goose Down
GRANT EXECUTE ON FUNCTION open_run(uuid), analyze_run(uuid) TO PUBLIC;
ALTER FUNCTION open_run(uuid) SECURITY INVOKER RESET search_path;
ALTER FUNCTION analyze_run(uuid) SECURITY INVOKER RESET search_path;
DROP FUNCTION drop_run(uuid);
ALTER TABLE iterations DROP COLUMN dropped;
ALTER TABLE policy_versions DROP COLUMN weights_dropped, DROP COLUMN optimiser_dropped;
DROP TABLE retention;
