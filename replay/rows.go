package replay

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/hone-rl/hone"
)

// Rows writes rows in some form.
type Rows interface {
	Write(row Row) error
	// Close writes what is left. The file underneath stays open.
	Close() error
}

// NewJSONLines writes a JSON object a line.
func NewJSONLines(w io.Writer) Rows { return jsonRows{json.NewEncoder(w)} }

type jsonRows struct{ *json.Encoder }

func (j jsonRows) Write(row Row) error {
	if err := j.Encode(row); err != nil {
		return fmt.Errorf("write row: %w", err)
	}
	return nil
}

func (j jsonRows) Close() error { return nil }

// columns are the names of a flat row's cells: what is known of the trajectory, both totals, and a column a layer for each side.
func columns(row Row) []string {
	names := []string{"run", "iteration", "sample", "problem", "tokens", "outcome_before", "outcome_after", "total_before", "total_after"}
	for _, l := range row.Before.Layers {
		names = append(names, "before_"+l.Layer)
	}
	for _, l := range row.After.Layers {
		names = append(names, "after_"+l.Layer)
	}
	return names
}

// cells are a flat row's values, each a string, an int64 or a float64.
func cells(row Row) []any {
	out := []any{
		string(row.ID.Run), int64(row.ID.Iteration), int64(row.ID.Sample), row.Problem, int64(row.Tokens),
		string(row.Before.Outcome), string(row.After.Outcome), row.Before.Total, row.After.Total,
	}
	for _, l := range slices.Concat(row.Before.Layers, row.After.Layers) {
		out = append(out, l.Total)
	}
	return out
}

// head are the columns of a flat file, which its first row decides.
type head struct{ names []string }

// fit holds a row against the first one; first tells that it is.
func (h *head) fit(row Row) (first bool, err error) {
	names := columns(row)
	switch {
	case h.names == nil:
		h.names = names
		return true, nil
	case !slices.Equal(h.names, names):
		return false, fmt.Errorf("trajectory %s has the columns %v, and those before %v; write a file for each, or JSON lines: %w",
			row.ID, names, h.names, hone.ErrInvalid)
	}
	return false, nil
}

// NewCSV writes comma-separated values, with a line of names before the first row. All rows must have the same layers.
func NewCSV(w io.Writer) Rows { return &csvRows{out: csv.NewWriter(w)} }

type csvRows struct {
	head

	out *csv.Writer
}

func (c *csvRows) Write(row Row) error {
	first, err := c.fit(row)
	if err != nil {
		return err
	}
	if first {
		if err := c.out.Write(c.names); err != nil {
			return fmt.Errorf("write row: %w", err)
		}
	}
	var line []string
	for _, v := range cells(row) {
		switch v := v.(type) {
		case string:
			line = append(line, v)
		case int64:
			line = append(line, strconv.FormatInt(v, 10))
		case float64:
			line = append(line, strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	if err := c.out.Write(line); err != nil {
		return fmt.Errorf("write row: %w", err)
	}
	return nil
}

func (c *csvRows) Close() error {
	c.out.Flush()
	if err := c.out.Error(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// rowGroup is the number of rows that a Parquet file keeps together: what is in memory while it is written.
const rowGroup = 1 << 16

// NewParquet writes a Parquet file with a column for each of those of [NewCSV], in the order of their names. Numbers are int64 and
// double, texts UTF-8 in dictionaries; pages are compressed by Zstandard. All rows must have the same layers.
func NewParquet(w io.Writer) Rows { return &parquetRows{w: w} }

type parquetRows struct {
	head

	w   io.Writer
	out *parquet.GenericWriter[any]
	// at are the places of the cells among the columns.
	at  []int
	row parquet.Row
}

func (p *parquetRows) Write(row Row) error {
	first, err := p.fit(row)
	if err != nil {
		return err
	}
	values := cells(row)
	if first {
		if err := p.open(values); err != nil {
			return err
		}
	}
	for i, v := range values {
		p.row[p.at[i]] = parquet.ValueOf(v).Level(0, 0, p.at[i])
	}
	if _, err := p.out.WriteRows([]parquet.Row{p.row}); err != nil {
		return fmt.Errorf("write row: %w", err)
	}
	return nil
}

// open makes the schema of the first row.
func (p *parquetRows) open(values []any) error {
	schema := parquet.Group{}
	for i, v := range values {
		node := parquet.Leaf(parquet.DoubleType)
		switch v.(type) {
		case string:
			node = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		case int64:
			node = parquet.Int(64)
		}
		if _, twice := schema[p.names[i]]; twice {
			return fmt.Errorf("column %q is there twice: %w", p.names[i], hone.ErrInvalid)
		}
		schema[p.names[i]] = parquet.Compressed(node, &parquet.Zstd)
	}
	sorted := slices.Sorted(slices.Values(p.names))
	for _, name := range p.names {
		at, _ := slices.BinarySearch(sorted, name)
		p.at = append(p.at, at)
	}
	p.row = make(parquet.Row, len(values))
	p.out = parquet.NewGenericWriter[any](p.w, parquet.NewSchema("replay", schema), parquet.MaxRowsPerRowGroup(rowGroup))
	return nil
}

// Close writes the last rows. A file without rows has no columns, since layers are what rows have.
func (p *parquetRows) Close() error {
	if p.out == nil {
		p.out = parquet.NewGenericWriter[any](p.w, parquet.NewSchema("replay", parquet.Group{}))
	}
	if err := p.out.Close(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}
