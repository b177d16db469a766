-- Least privilege, for the schema that the connection is in. {{worker}} and {{reader}} are roles that people or processes log in as, or are members
-- of; they exist already, or are made here without login. The owner of the tables, who runs this, is a third one. It can be run again.

-- Nobody else reads or makes anything.
REVOKE ALL ON SCHEMA {{schema}} FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA {{schema}} FROM PUBLIC, {{worker}}, {{reader}};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {{schema}} FROM PUBLIC, {{worker}}, {{reader}};
REVOKE CREATE ON SCHEMA {{schema}} FROM {{worker}}, {{reader}};
GRANT USAGE ON SCHEMA {{schema}} TO {{worker}}, {{reader}};

-- A reader reads, and no statement of its keeps others waiting for long.
GRANT SELECT ON ALL TABLES IN SCHEMA {{schema}} TO {{reader}};
ALTER DEFAULT PRIVILEGES IN SCHEMA {{schema}} GRANT SELECT ON TABLES TO {{reader}};
DO $$ BEGIN
  ALTER ROLE {{reader}} SET default_transaction_read_only = on;
  ALTER ROLE {{reader}} SET statement_timeout = '5min';
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'the settings of role {{reader}} are left to who may change it';
END $$;

-- A worker adds to the record and moves its heads, and takes nothing from it: it deletes nothing, and changes no schema, no retention
-- and no row that is written once. Partitions of a run it makes through open_run alone.
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {{schema}} TO {{worker}};
REVOKE INSERT ON retention, goose_db_version FROM {{worker}};
GRANT UPDATE ON policy_heads TO {{worker}};
GRANT UPDATE (status, error, finished_at, parent, parent_version, first_cycle) ON runs TO {{worker}};
GRANT UPDATE (state) ON policy_versions TO {{worker}}; -- of a fork's first
GRANT UPDATE (status, prompts, finished_at) ON iterations TO {{worker}};
GRANT UPDATE (value) ON iteration_metrics TO {{worker}};
GRANT UPDATE (state, reason) ON publications TO {{worker}};
GRANT EXECUTE ON FUNCTION open_run(uuid), analyze_run(uuid) TO {{worker}};
