package storage_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
)

// as is the address for another role.
func as(t testing.TB, address, role string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	q.Set("role", role)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	return u.String()
}

// granted is a database with roles of its own, since roles are the whole server's.
func granted(t testing.TB) (address string, roles storage.Roles) {
	t.Helper()
	address = storagetest.URL(t)
	conn := connect(t, address)
	var name string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&name))
	roles = storage.Roles{Worker: name + " worker", Reader: name + ` "reader"`}
	for range 2 { // it can be run again
		require.NoError(t, roles.Grant(t.Context(), address))
	}
	t.Cleanup(func() {
		for _, role := range []string{roles.Worker, roles.Reader} {
			quoted := `"` + strings.ReplaceAll(role, `"`, `""`) + `"`
			_, err := conn.Exec(background(t), "DROP OWNED BY "+quoted+"; DROP ROLE "+quoted)
			require.NoError(t, err)
		}
	})
	return address, roles
}

func TestAWorkersRoleDoesAllOfItsWork(t *testing.T) {
	t.Parallel()
	address, roles := granted(t)
	s := storagetest.OpenURL(t, as(t, address, roles.Worker))
	run, _ := sampled(t, s, 2)
	startIteration(t, s, run, 2)
	require.NoError(t, s.ExtendIteration(t.Context(), storage.Iteration{Run: run, Iteration: 2, Behaviour: 2, Prompts: 2}))
	require.NoError(t, s.SaveScoring(t.Context(), live(run), scored(2, 1)))
	require.NoError(t, s.SetStatus(t.Context(), run, storage.StatusRunning, ""))
	require.NoError(t, s.SaveMetrics(t.Context(), run, 0, map[string]float64{"reward": 2}))
	_, err := s.Rollback(t.Context(), storage.Rollback{Run: run, From: 2, To: 1})
	require.NoError(t, err)
	_, err = s.ForkRun(t.Context(), storage.Fork{Parent: run, Version: 1, Run: newRun("fork")})
	require.NoError(t, err)
	_, err = s.ChangeSettings(t.Context(), run, "a", to("ppo.epochs", "2"))
	require.NoError(t, err)
	for _, request := range []string{"a", "b"} {
		_, err = s.SavePublication(t.Context(), storage.Publication{
			Service: "math", Request: request, State: storage.Published, Run: run, Version: 1, Details: []byte("{}"),
		}, 1)
		require.NoError(t, err)
	}
	_, err = s.AddScoring(t.Context(), run, []byte("{}"))
	require.NoError(t, err)
}

func TestLesserRolesAreHeldToTheirPart(t *testing.T) {
	t.Parallel()
	address, roles := granted(t)
	s := storagetest.OpenURL(t, address)
	run, _ := sampled(t, s, 1)
	for role, refused := range map[string][]string{
		roles.Worker: {
			"DELETE FROM trajectories", "TRUNCATE steps", "UPDATE trajectories SET seed = 1", "UPDATE rewards SET total = 9",
			"UPDATE policy_versions SET weights = optimiser", "UPDATE runs SET config = '{}'", "UPDATE ingest_batches SET row_count = 0",
			"DROP TABLE runs", "CREATE TABLE t (a int)", "ALTER TABLE runs ADD COLUMN a int", "SELECT drop_run('" + string(run) + "')",
			"INSERT INTO retention (weights, optimisers, iterations, finished) VALUES (1, 1, 1, '0')", "DELETE FROM goose_db_version",
			"DELETE FROM trajectories_" + strings.ReplaceAll(string(run), "-", ""),
		},
		roles.Reader: {
			"INSERT INTO changes SELECT * FROM changes", "UPDATE runs SET status = 'failed'", "DELETE FROM runs",
			"SELECT open_run('" + string(run) + "')",
			"CREATE TABLE t (a int)", "SELECT pg_read_file('/etc/passwd')",
		},
	} {
		conn := connect(t, as(t, address, role))
		_, err := conn.Exec(t.Context(), "SET default_transaction_read_only = off") // a default is no barrier
		require.NoError(t, err)
		for _, query := range refused {
			_, err := conn.Exec(t.Context(), query)
			require.ErrorContains(t, err, "SQLSTATE 42501", "%s: %s", role, query)
		}
	}
	reader := storagetest.OpenURL(t, as(t, address, roles.Reader))
	all, err := reader.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	require.Len(t, all, 2)
	runs, err := reader.Runs(t.Context())
	require.NoError(t, err)
	require.Len(t, runs, 1)
}

func TestUnfitRolesAreRefused(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	err := storage.Roles{Worker: "a", Reader: "a"}.Grant(t.Context(), address)
	require.ErrorIs(t, err, hone.ErrInvalid)
	var owner string
	require.NoError(t, connect(t, address).QueryRow(t.Context(), "SELECT current_user").Scan(&owner))
	err = storage.Roles{Worker: owner, Reader: "somebody"}.Grant(t.Context(), address)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "owns the tables")
	err = storage.Roles{Worker: "a", Reader: "b"}.Grant(t.Context(), storagetest.Empty(t))
	require.ErrorIs(t, err, hone.ErrConflict, "there is no schema yet")
}
