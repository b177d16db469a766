-- What people change of a run while it goes on, what was made of it, and what is published.

-- +goose Up
ALTER TABLE runs
  ADD COLUMN parent         uuid REFERENCES runs, -- the run that this one was forked from
  ADD COLUMN parent_version int CHECK (parent_version >= 0),
  ADD COLUMN first_cycle    int NOT NULL DEFAULT 0 CHECK (first_cycle >= 0), -- cycles before it are the parent's
  ADD CHECK ((parent IS NULL) = (parent_version IS NULL)),
  ADD CHECK (first_cycle IN (0, parent_version));

-- A cycle that was not trained but went back: its version has the content of an older one.
ALTER TABLE policy_versions ADD COLUMN restores int CHECK (restores >= 0 AND restores < version);

-- abandoned: sampled, and then the run went back before it was trained on.
ALTER TABLE iterations DROP CONSTRAINT iterations_status_check,
  ADD CONSTRAINT iterations_status_check CHECK (status IN ('open', 'done', 'abandoned'));

CREATE TABLE changes (                    -- settings that are others than the run's configuration has, from a cycle on
  run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
  number      int  NOT NULL CHECK (number >= 0), -- in the order in which they were made
  request     text NOT NULL CHECK (request <> ''), -- names what asked for it, so that asking twice is asking once
  iteration   int  NOT NULL CHECK (iteration >= 0), -- the first cycle that has it
  key         text NOT NULL CHECK (key <> ''),
  old         json NOT NULL,
  new         json NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, number),
  UNIQUE (run_id, request, key)
);

CREATE TABLE publications (               -- the attempts to give a service a better policy; what it uses is the newest published one
  service     text NOT NULL CHECK (service <> ''),
  number      int  NOT NULL CHECK (number >= 0),
  request     text NOT NULL CHECK (request <> ''), -- the workflow that made it
  state       text NOT NULL CHECK (state IN ('published', 'refused', 'skipped', 'withdrawn', 'retired')),
  reason      text NOT NULL CHECK (state = 'published' OR reason <> ''),
  run_id      uuid,                       -- with version: the policy; null for an attempt that was skipped
  version     int,
  problems    bytea CHECK (octet_length(problems) = 32), -- digest of the problems that were new
  details     json NOT NULL,              -- what was measured, for people
  created_at  timestamptz NOT NULL DEFAULT now(),
  -- Its weights may go, unless something else needs them.
  collectable boolean NOT NULL GENERATED ALWAYS AS (state IN ('refused', 'withdrawn', 'retired')) STORED,
  PRIMARY KEY (service, number),
  UNIQUE (service, request),
  FOREIGN KEY (run_id, version) REFERENCES policy_versions (run_id, version),
  CHECK ((run_id IS NULL) = (version IS NULL)),
  CHECK (run_id IS NOT NULL OR state = 'skipped')
);

-- +goose Down
DROP TABLE publications, changes;
UPDATE iterations SET status = 'open' WHERE status = 'abandoned';
ALTER TABLE iterations DROP CONSTRAINT iterations_status_check,
  ADD CONSTRAINT iterations_status_check CHECK (status IN ('open', 'done'));
ALTER TABLE policy_versions DROP COLUMN restores;
ALTER TABLE runs DROP COLUMN first_cycle, DROP COLUMN parent_version, DROP COLUMN parent;
