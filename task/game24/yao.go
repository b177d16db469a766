package game24

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
)

// The ranks, from 1, of the puzzles that Yao et al. 2023 test on.
const (
	yaoFirst = 901
	yaoLast  = 1000
)

// ReadPuzzles reads a list of puzzles by difficulty: CSV with a header that names a column "Rank" (from 1, without gaps) and a
// column "Puzzles" ("4 5 6 10"), as 24.csv of princeton-nlp/tree-of-thought-llm has them. Anything else is [hone.ErrInvalid],
// with the line.
func ReadPuzzles(r io.Reader) ([][]int, error) {
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("list of puzzles: header: %w: %w", err, hone.ErrInvalid)
	}
	rank, puzzles := slices.Index(header, "Rank"), slices.Index(header, "Puzzles")
	if rank < 0 || puzzles < 0 {
		return nil, fmt.Errorf("list of puzzles: header %q: want columns \"Rank\" and \"Puzzles\": %w", header, hone.ErrInvalid)
	}
	var all [][]int
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list of puzzles: %w: %w", err, hone.ErrInvalid)
		}
		line, _ := rows.FieldPos(0)
		if want := strconv.Itoa(len(all) + 1); row[rank] != want {
			return nil, fmt.Errorf("list of puzzles, line %d: rank %q: want %s: %w", line, row[rank], want, hone.ErrInvalid)
		}
		puzzle, err := readPuzzle(row[puzzles])
		if err != nil {
			return nil, fmt.Errorf("list of puzzles, line %d: %w", line, err)
		}
		all = append(all, puzzle)
	}
}

func readPuzzle(text string) ([]int, error) {
	var puzzle []int
	for field := range strings.FieldsSeq(text) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, wrongPuzzle(text)
		}
		puzzle = append(puzzle, n)
	}
	return puzzle, standard(puzzle)
}

// YaoPuzzles picks ranks 901 to 1000 of a whole list, for [Config.Yao].
func YaoPuzzles(ranked [][]int) ([][]int, error) {
	if len(ranked) < yaoLast {
		return nil, fmt.Errorf("list of %d puzzles: want all 1362, of which ranks %d to %d are taken: %w",
			len(ranked), yaoFirst, yaoLast, hone.ErrInvalid)
	}
	return slices.Clone(ranked[yaoFirst-1 : yaoLast]), nil
}
