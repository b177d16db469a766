-- What a replay finds of many trajectories is one row.

-- +goose Up
CREATE TABLE replays (                    -- a part of a scoring that is not the live one; element i of each array is of trajectory samples[i]
  run_id      uuid NOT NULL,
  iteration   int  NOT NULL,
  scoring_id  int  NOT NULL CHECK (scoring_id > 0),
  first       int  NOT NULL,              -- the first of the samples
  samples     int[]    NOT NULL,
  outcomes    text[]   NOT NULL,
  steps       int[]    NOT NULL,
  totals      float8[] NOT NULL,
  packed      bytea[]  NOT NULL,          -- the breakdowns
  PRIMARY KEY (run_id, iteration, scoring_id, first),
  CHECK (first = samples[1]),
  CHECK (cardinality(samples) = ALL (ARRAY[cardinality(outcomes), cardinality(steps), cardinality(totals), cardinality(packed)]))
) PARTITION BY LIST (run_id);

-- +goose StatementBegin
DO $$
DECLARE
  f text;
BEGIN
  IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
    ALTER TABLE replays ALTER samples SET COMPRESSION lz4, ALTER outcomes SET COMPRESSION lz4, ALTER steps SET COMPRESSION lz4,
                        ALTER totals SET COMPRESSION lz4, ALTER packed SET COMPRESSION lz4;
  END IF;
  FOREACH f IN ARRAY ARRAY['open_run(uuid)', 'analyze_run(uuid)', 'drop_run(uuid)'] LOOP
    EXECUTE replace(pg_get_functiondef(f::regprocedure), '''search_nodes''', '''search_nodes'', ''replays''');
  END LOOP;
END $$;
-- +goose StatementEnd
SELECT open_run(run_id) FROM runs WHERE to_regclass('scores_' || replace(run_id::text, '-', '')) IS NOT NULL;

INSERT INTO replays
  SELECT run_id, iteration, scoring_id, min(sample), array_agg(sample ORDER BY sample), array_agg(outcome ORDER BY sample),
    array_agg(steps ORDER BY sample), array_agg(total ORDER BY sample), array_agg(packed ORDER BY sample)
  FROM scores WHERE scoring_id > 0 GROUP BY run_id, iteration, scoring_id, sample / 1024;
DELETE FROM scores WHERE scoring_id > 0;
-- The column packed stays, always null: workers of the version before, which may be running, name it.
ALTER TABLE scores ADD CONSTRAINT scores_live CHECK (scoring_id = 0);

-- +goose Down
ALTER TABLE scores DROP CONSTRAINT scores_live;
INSERT INTO scores (run_id, iteration, scoring_id, sample, outcome, steps, total, packed)
  SELECT run_id, iteration, scoring_id, unnest(samples), unnest(outcomes), unnest(steps), unnest(totals), unnest(packed) FROM replays;
-- +goose StatementBegin
DO $$
DECLARE
  f text;
BEGIN
  FOREACH f IN ARRAY ARRAY['open_run(uuid)', 'analyze_run(uuid)', 'drop_run(uuid)'] LOOP
    EXECUTE replace(pg_get_functiondef(f::regprocedure), ', ''replays''', '');
  END LOOP;
END $$;
-- +goose StatementEnd
DROP TABLE replays;
