package replay_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/reward/stack"
)

// TestRowsAreTheSameInAllForms reads back what each form wrote of a replay, by what others read it with.
func TestRowsAreTheSameInAllForms(t *testing.T) {
	t.Parallel()
	f := setup(t, 2, 16)
	cfg := stack.DefaultConfig()
	cfg.Step = 0.3
	in := f.input(t, cfg)
	var lines, values, columns bytes.Buffer
	writers := []replay.Rows{replay.NewJSONLines(&lines), replay.NewCSV(&values), replay.NewParquet(&columns)}
	var want []replay.Row
	in.Row = func(r replay.Row) error {
		want = append(want, r)
		for _, w := range writers {
			if err := w.Write(r); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	for _, w := range writers {
		require.NoError(t, w.Close())
	}
	require.Len(t, want, 32)

	decoder := json.NewDecoder(&lines)
	for _, row := range want {
		var got replay.Row
		require.NoError(t, decoder.Decode(&got))
		require.Equal(t, row.After.Total, got.After.Total)
		require.Equal(t, row.ID, got.ID)
	}
	table, err := csv.NewReader(&values).ReadAll()
	require.NoError(t, err)
	require.Equal(t, "run,iteration,sample,problem,tokens,outcome_before,outcome_after,total_before,total_after,"+
		"before_correctness,before_step,before_efficiency,after_correctness,after_step,after_efficiency", strings.Join(table[0], ","))

	type flat struct {
		Run        string  `parquet:"run"`
		Iteration  int64   `parquet:"iteration"`
		Sample     int64   `parquet:"sample"`
		Problem    string  `parquet:"problem"`
		Outcome    string  `parquet:"outcome_after"`
		Tokens     int64   `parquet:"tokens"`
		TotalAfter float64 `parquet:"total_after"`
		StepBefore float64 `parquet:"before_step"`
		StepAfter  float64 `parquet:"after_step"`
	}
	got, err := parquet.Read[flat](bytes.NewReader(columns.Bytes()), int64(columns.Len()))
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i, row := range want {
		require.Equal(t, flat{
			Run: string(row.ID.Run), Iteration: int64(row.ID.Iteration), Sample: int64(row.ID.Sample), Problem: row.Problem,
			Outcome: string(row.After.Outcome), Tokens: int64(row.Tokens), TotalAfter: row.After.Total,
			StepBefore: row.Before.Layers[1].Total, StepAfter: row.After.Layers[1].Total,
		}, got[i])
		after, err := strconv.ParseFloat(table[i+1][8], 64)
		require.NoError(t, err)
		require.Equal(t, row.After.Total, after, "CSV keeps all digits")
	}
}

func TestFlatRowsHaveTheSameLayers(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 4)
	in := f.input(t, stack.DefaultConfig())
	var first *replay.Row
	in.Row = func(r replay.Row) error { first = &r; return nil }
	_, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	for name, open := range map[string]func(*bytes.Buffer) replay.Rows{
		"csv":     func(b *bytes.Buffer) replay.Rows { return replay.NewCSV(b) },
		"parquet": func(b *bytes.Buffer) replay.Rows { return replay.NewParquet(b) },
	} {
		var out bytes.Buffer
		w := open(&out)
		require.NoError(t, w.Write(*first), name)
		other := *first
		other.After.Layers = other.After.Layers[:1]
		require.ErrorIs(t, w.Write(other), hone.ErrInvalid, name)
		require.NoError(t, w.Close(), name)
		require.NoError(t, open(&bytes.Buffer{}).Close(), "no rows, "+name)
	}
}
