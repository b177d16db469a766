-- The record of training runs. Bulk tables are partitioned by run and have natural keys and no foreign keys, so that dropping a
-- run is dropping its partitions. Digests are sha256.

-- +goose Up
CREATE TABLE runs (
  run_id      uuid PRIMARY KEY,
  name        text NOT NULL UNIQUE CHECK (name <> ''),
  config      jsonb NOT NULL,
  seed        bigint NOT NULL,            -- the bits of a uint64
  "commit"    text NOT NULL,              -- of the program that created the run
  fingerprint text NOT NULL,              -- of the kernels that created the run
  dataset     text NOT NULL,              -- digest of the problems trained on
  status      text NOT NULL DEFAULT 'pending'
              CHECK (status IN ('pending', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
  error       text NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz
);

CREATE TABLE policy_versions (
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  version     int  NOT NULL CHECK (version >= 0),
  iteration   int  CHECK (iteration >= 0), -- the cycle that made it; null for version 0
  weights     bytea NOT NULL CHECK (octet_length(weights) = 32),
  optimiser   bytea NOT NULL CHECK (octet_length(optimiser) = 32),
  state       json NOT NULL,              -- json keeps the text as given, which jsonb would not
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, version),
  UNIQUE (run_id, iteration),
  CHECK ((version = 0) = (iteration IS NULL))
);

CREATE TABLE policy_heads (               -- the fenced pointer: one row per run
  run_id      uuid PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
  version     int,
  fence       bigint NOT NULL DEFAULT 0,  -- grows with every lease
  holder      text NOT NULL DEFAULT '',
  lease_until timestamptz,
  updated_at  timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (run_id, version) REFERENCES policy_versions (run_id, version)
) WITH (fillfactor = 50);

CREATE TABLE iterations (
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  iteration   int  NOT NULL CHECK (iteration >= 0),
  behaviour   int  NOT NULL,              -- policy version that sampled
  prompts     int  NOT NULL CHECK (prompts > 0), -- how many there are to end
  status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done')),
  started_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  PRIMARY KEY (run_id, iteration),
  FOREIGN KEY (run_id, behaviour) REFERENCES policy_versions (run_id, version)
);

CREATE TABLE iteration_prompts (          -- how every prompt of a finished iteration ended
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  iteration   int  NOT NULL,
  slot        int  NOT NULL CHECK (slot >= 0),
  task        text NOT NULL,
  problem_key text NOT NULL,
  state       text NOT NULL CHECK (state IN ('trained', 'dropped', 'failed')),
  reason      text NOT NULL CHECK (state = 'trained' OR reason <> ''),
  PRIMARY KEY (run_id, iteration, slot)
);

CREATE TABLE iteration_metrics (          -- rows, since json has no NaN
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  iteration   int  NOT NULL CHECK (iteration >= -1), -- -1: before the first cycle
  name        text NOT NULL CHECK (name <> ''),
  value       float8 NOT NULL,
  PRIMARY KEY (run_id, iteration, name)
);

CREATE TABLE ingest_batches (             -- the exactly-once ledger
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  batch_key   text NOT NULL,              -- deterministic: what it is, never which attempt
  digest      bytea NOT NULL CHECK (octet_length(digest) = 32),
  row_count   int NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, batch_key)
);

CREATE TABLE scorings (                   -- 0 is live; the others are replays under another reward configuration
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  scoring_id  int  NOT NULL CHECK (scoring_id >= 0),
  kind        text NOT NULL CHECK (kind = CASE scoring_id WHEN 0 THEN 'live' ELSE 'replay' END),
  config      jsonb NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, scoring_id)
);

CREATE TABLE evaluations (
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  version     int  NOT NULL,
  split       text NOT NULL,
  mode        text NOT NULL,
  problem_limit int NOT NULL CHECK (problem_limit >= 0), -- 0: all of the split
  problems    int  NOT NULL CHECK (problems >= 0),
  tokens      bigint NOT NULL CHECK (tokens >= 0),
  digest      bytea NOT NULL CHECK (octet_length(digest) = 32), -- of the answers
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, version, split, mode, problem_limit),
  FOREIGN KEY (run_id, version) REFERENCES policy_versions (run_id, version)
);

CREATE TABLE evaluation_answers (
  run_id      uuid NOT NULL,
  version     int  NOT NULL,
  split       text NOT NULL,
  mode        text NOT NULL,
  problem_limit int NOT NULL,
  position    int  NOT NULL,
  task        text NOT NULL,
  problem_key text NOT NULL,
  outcome     text NOT NULL,
  reason      text NOT NULL,
  tokens      int  NOT NULL CHECK (tokens >= 0),
  completion  text NOT NULL,
  PRIMARY KEY (run_id, version, split, mode, problem_limit, position),
  FOREIGN KEY (run_id, version, split, mode, problem_limit) REFERENCES evaluations ON DELETE CASCADE
);

-- Bulk tables.
CREATE TABLE trajectories (
  run_id      uuid NOT NULL,
  iteration   int  NOT NULL,
  sample      int  NOT NULL,              -- prompt slot * group size + member
  task        text NOT NULL,
  problem_key text NOT NULL,
  behaviour   int  NOT NULL,
  source      text NOT NULL CHECK (source IN ('sample', 'search')),
  seed        bigint NOT NULL,            -- the bits of a uint64
  fingerprint text NOT NULL,
  n_prompt    int  NOT NULL,
  n_tokens    int  NOT NULL,
  finish      text NOT NULL CHECK (finish IN ('stop', 'length', 'error')),
  bootstrap   float4 NOT NULL,
  prompt      text NOT NULL,
  completion  text NOT NULL,
  prompt_ids  bytea NOT NULL,             -- packed: header, ids int32[n]
  tokens      bytea NOT NULL,             -- packed: header, ids int32[n], logp float32[n], values float32[n]
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, iteration, sample),
  CHECK (octet_length(prompt_ids) = 8 + 4 * n_prompt),
  CHECK (octet_length(tokens) = 8 + 12 * n_tokens)
) PARTITION BY LIST (run_id);

CREATE TABLE steps (
  run_id      uuid NOT NULL,
  iteration   int  NOT NULL,
  sample      int  NOT NULL,
  step        int  NOT NULL,
  tok_from    int  NOT NULL CHECK (tok_from >= 0),
  tok_to      int  NOT NULL CHECK (tok_to >= tok_from),
  content     text NOT NULL,
  PRIMARY KEY (run_id, iteration, sample, step)
) PARTITION BY LIST (run_id);

CREATE TABLE scores (                     -- what a scoring found of a trajectory
  run_id      uuid NOT NULL,
  iteration   int  NOT NULL,
  scoring_id  int  NOT NULL,
  sample      int  NOT NULL,
  outcome     text NOT NULL,
  steps       int  NOT NULL CHECK (steps >= 0),
  total       float8 NOT NULL,            -- the sum over rewards
  PRIMARY KEY (run_id, iteration, scoring_id, sample)
) PARTITION BY LIST (run_id);

CREATE TABLE rewards (                    -- one row a layer
  run_id      uuid NOT NULL,
  iteration   int  NOT NULL,
  scoring_id  int  NOT NULL,
  sample      int  NOT NULL,
  position    int  NOT NULL,              -- in the stack
  layer       text NOT NULL,
  weight      float8 NOT NULL,
  total       float8 NOT NULL,            -- weighted
  per_step    float4[] NOT NULL,          -- weighted, one a step
  detail      jsonb NOT NULL,             -- the terms: step, score before the weight, reason
  PRIMARY KEY (run_id, iteration, scoring_id, sample, position)
) PARTITION BY LIST (run_id);

CREATE TABLE targets (                    -- what training made of a trajectory
  run_id      uuid NOT NULL,
  iteration   int  NOT NULL,
  scoring_id  int  NOT NULL,
  sample      int  NOT NULL,
  reward      float8 NOT NULL,
  n_tokens    int  NOT NULL,
  packed      bytea NOT NULL,             -- packed: header, advantages float32[n], returns float32[n]
  PRIMARY KEY (run_id, iteration, scoring_id, sample),
  CHECK (octet_length(packed) = 8 + 8 * n_tokens)
) PARTITION BY LIST (run_id);

CREATE TABLE search_nodes (
  run_id      uuid NOT NULL,
  iteration   int  NOT NULL,
  sample      int  NOT NULL,              -- the trajectory that the tree's best line became
  node        int  NOT NULL,
  parent      int  NOT NULL,              -- -1 for the root
  depth       int  NOT NULL,
  evaluated   int  NOT NULL,              -- when, from 0; -1 never
  visits      int  NOT NULL,
  value_sum   float8 NOT NULL,
  q           float8 NOT NULL,
  raw         float8 NOT NULL,
  prior       float8 NOT NULL,
  reward      float8 NOT NULL,
  terminal    bool NOT NULL,
  masked      bool NOT NULL,
  action      text NOT NULL,
  PRIMARY KEY (run_id, iteration, sample, node)
) PARTITION BY LIST (run_id);

-- lz4 where this build of PostgreSQL has it; else no compression, since pglz is slow and gains nothing on float data.
-- +goose StatementBegin
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
    ALTER TABLE trajectories ALTER tokens SET COMPRESSION lz4, ALTER prompt_ids SET COMPRESSION lz4,
                             ALTER prompt SET COMPRESSION lz4, ALTER completion SET COMPRESSION lz4;
    ALTER TABLE targets ALTER packed SET COMPRESSION lz4;
    ALTER TABLE rewards ALTER detail SET COMPRESSION lz4;
  ELSE
    ALTER TABLE trajectories ALTER tokens SET STORAGE EXTERNAL, ALTER prompt_ids SET STORAGE EXTERNAL;
    ALTER TABLE targets ALTER packed SET STORAGE EXTERNAL;
  END IF;
END $$;
-- +goose StatementEnd

-- open_run makes the run's partitions. Attaching a table made beforehand doesn't block readers, as creating a partition would.
-- +goose StatementBegin
CREATE FUNCTION open_run(r uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  part   text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('open_run:' || r::text, 0));
  FOREACH parent IN ARRAY ARRAY['trajectories', 'steps', 'scores', 'rewards', 'targets', 'search_nodes'] LOOP
    part := parent || '_' || replace(r::text, '-', '');
    IF to_regclass(quote_ident(part)) IS NULL THEN
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%L)', parent, part, r);
    END IF;
  END LOOP;
END $$;
-- +goose StatementEnd

-- analyze_run makes the planner's statistics of the run's partitions; without them the first joins are planned for empty tables.
-- +goose StatementBegin
CREATE FUNCTION analyze_run(r uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['trajectories', 'steps', 'scores', 'rewards', 'targets', 'search_nodes'] LOOP
    EXECUTE format('ANALYZE %I', parent || '_' || replace(r::text, '-', ''));
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION analyze_run(uuid);
DROP FUNCTION open_run(uuid);
DROP TABLE search_nodes, targets, rewards, scores, steps, trajectories;
DROP TABLE evaluation_answers, evaluations, scorings, ingest_batches, iteration_metrics, iteration_prompts, iterations;
DROP TABLE policy_heads, policy_versions, runs;
