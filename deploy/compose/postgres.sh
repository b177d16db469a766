#!/bin/sh
# The first start of the database makes it and its users: one that owns the tables, one that works with them, one that reads.
set -eu
psql -v ON_ERROR_STOP=1 -v owner="$HONE_OWNER_PASSWORD" -v worker="$HONE_WORKER_PASSWORD" --username postgres --dbname postgres <<'SQL'
CREATE ROLE hone_own LOGIN PASSWORD :'owner';
CREATE ROLE hone_work LOGIN PASSWORD :'worker';
CREATE ROLE hone_read NOLOGIN;
CREATE DATABASE hone OWNER hone_own;
\connect hone
ALTER SCHEMA public OWNER TO hone_own;
SQL
