package temporallocal

import (
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/config"

	"github.com/hone-rl/hone"
)

// pluginDSN puts an address together as the server's Postgres plugin does: user, host and database as they are, the rest
// escaped as an HTML form.
func pluginDSN(store *config.SQL) string {
	parameters := url.Values{}
	for name, value := range store.ConnectAttributes {
		parameters.Set(name, value)
	}
	return "postgres://" + store.User + ":" + url.QueryEscape(store.Password) + "@" + store.ConnectAddr + "/" + store.DatabaseName +
		"?" + parameters.Encode()
}

func TestAddressesReachTheDriverUnchanged(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"socket":             "postgres://hone@/postgres?host=%2Frun%2Fmy%20runs+1&port=5433&sslmode=disable",
		"socket as host":     "postgres://hone@%2Frun%2Fhone:5433/postgres?sslmode=disable",
		"network":            "postgresql://hone:secret@db.example:5544/main?sslmode=disable",
		"awkward characters": "postgres://na%40me:p+w%2B%25%40%3A%2F%3F@db.example/main?sslmode=disable",
		"search path":        "postgres://hone@db.example/main?sslmode=disable&search_path=a%2Cb",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg, err := parseURL(address)
			require.NoError(t, err)
			want, err := pgx.ParseConfig(address)
			require.NoError(t, err)
			got, err := pgx.ParseConfig(pluginDSN(pg.store("temporal")))
			require.NoError(t, err)
			require.Equal(t, "temporal", got.Database)
			require.Equal(t, []any{want.Host, want.Port, want.User, want.Password, want.RuntimeParams},
				[]any{got.Host, got.Port, got.User, got.Password, got.RuntimeParams})
		})
	}
}

func TestAddressesThatWouldChangeOnTheWayAreRefused(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"password":          "postgres://hone:a%20b@db.example/main",
		"parameter options": "postgres://hone@db.example/main?options=-c%20x%3Dy",
	} {
		_, err := parseURL(address)
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "a b")
	}
}

func TestVersionsCompareAsNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		sign int
	}{{"1.19", "1.19", 0}, {"1.19", "1.9", 1}, {"1.9", "1.19", -1}, {"2.0", "1.19", 1}} {
		got, err := compareVersions(c.a, c.b)
		require.NoError(t, err)
		require.Equal(t, c.sign, min(max(got, -1), 1), "%s and %s", c.a, c.b)
	}
	_, err := compareVersions("1.19", "newest")
	require.ErrorIs(t, err, hone.ErrCorrupt)
	require.ErrorContains(t, err, `"newest"`)
}
