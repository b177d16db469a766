package storage

import (
	"context"
	"errors"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestErrorsSayWhetherTryingAgainMayHelp(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"40001": hone.ErrUnavailable, "40P01": hone.ErrUnavailable, "53100": hone.ErrUnavailable, "57P03": hone.ErrUnavailable,
		"57014": hone.ErrUnavailable, "08006": hone.ErrUnavailable, "23505": hone.ErrConflict, "23503": hone.ErrNotFound,
		"23514": hone.ErrInvalid, "22P02": hone.ErrInvalid, "28P01": hone.ErrInvalid, "3D000": hone.ErrInvalid, "XX001": hone.ErrCorrupt,
	} {
		err := fail(t.Context(), &pgconn.PgError{Code: code}, "save %d", 7)
		require.ErrorIs(t, err, want, code)
		require.ErrorContains(t, err, "save 7")
	}
	require.ErrorIs(t, fail(t.Context(), pgx.ErrNoRows, "load"), hone.ErrNotFound)
	require.NoError(t, fail(t.Context(), nil, "load"))
	require.NotErrorIs(t, fail(t.Context(), errors.Join(hone.ErrInvalid, pgx.ErrNoRows), "load"), hone.ErrNotFound, "it has one already")

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	err := fail(canceled, &pgconn.PgError{Code: "57014"}, "load")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, hone.ErrUnavailable)
}

func TestDifferencesAreNamedByPath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stored, given string
		want          []string
	}{
		"order and spelling don't count": {`{"a":1e-3,"b":[1,2]}`, `{"b":[1,2.0],"a":0.001}`, nil},
		"a changed number":               {`{"ppo":{"lr":0.5}}`, `{"ppo":{"lr":0.25}}`, []string{"ppo.lr: stored 0.5, given 0.25"}},
		"a new and a missing key":        {`{"a":1}`, `{"b":"x"}`, []string{"a: stored 1, given nothing", `b: stored nothing, given "x"`}},
		"an element":                     {`{"a":[1,{"k":0}]}`, `{"a":[1,{"k":1}]}`, []string{`a: stored [1,{"k":0}], given [1,{"k":1}]`}},
		"null is not nothing":            {`{"a":null}`, `{}`, []string{"a: stored null, given nothing"}},
		"large integers": {
			`{"n":9007199254740993}`, `{"n":9007199254740992}`,
			[]string{"n: stored 9007199254740993, given 9007199254740992"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := differ([]byte(test.stored), []byte(test.given))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}
