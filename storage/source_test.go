package storage_test

import (
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
)

func TestTextsOfATableThatPeopleKeep(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	s, conn := storagetest.OpenURL(t, address), connect(t, address)
	for _, statement := range []string{
		`CREATE SCHEMA mine`, `CREATE TABLE mine."New problems" (id int, "The problem" text)`,
		`INSERT INTO mine."New problems" VALUES (1, 'b'), (2, 'B'), (3, NULL), (4, 'ä'), (5, 'b')`,
		`CREATE TABLE numbers (n int)`, `INSERT INTO numbers VALUES (24), (7)`, `CREATE TABLE nothing (n int)`,
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	for _, c := range []struct {
		column storage.Column
		want   []string
		empty  int
	}{
		{storage.Column{Table: "mine.New problems", Name: "The problem"}, []string{"B", "b", "b", "ä"}, 1},
		{storage.Column{Table: "numbers", Name: "n"}, []string{"24", "7"}, 0},
		{storage.Column{Table: "nothing", Name: "n"}, nil, 0},
	} {
		texts, empty, err := s.Texts(t.Context(), c.column)
		require.NoError(t, err)
		require.Equal(t, c.want, texts)
		require.Equal(t, c.empty, empty)
		elsewhere, empty, err := storage.TextsOf(t.Context(), address, c.column)
		require.NoError(t, err)
		require.Equal(t, c.want, elsewhere)
		require.Equal(t, c.empty, empty)
	}
	for _, c := range []storage.Column{
		{Table: "numbers", Name: ""},
		{Table: "", Name: "n"},
		{Table: "a.b.c", Name: "n"},
		{Table: ".numbers", Name: "n"},
		{Table: "numbers", Name: "a.b"},
		{Table: "numbers", Name: "m"},
		{Table: "letters", Name: "n"},
		{Table: "yours.numbers", Name: "n"},
		{Table: `numbers"; DROP TABLE numbers; --`, Name: "n"},
	} {
		_, _, err := s.Texts(t.Context(), c)
		require.ErrorIs(t, err, hone.ErrInvalid, "%+v", c)
	}
	_, _, err := storage.TextsOf(t.Context(), "postgres://%", storage.Column{Table: "numbers", Name: "n"})
	require.ErrorIs(t, err, hone.ErrInvalid)
}
