package activities

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// Validate reports a source that is none, or two, and a table without the names that it needs.
func (s Source) Validate() error {
	named := 0
	for _, one := range []bool{s.Dir != "", s.Run != "", s.Table != nil} {
		if one {
			named++
		}
	}
	if named != 1 {
		table := "none"
		if s.Table != nil {
			table = fmt.Sprintf("%q", s.Table.Name)
		}
		return fmt.Errorf("source of new problems: folder %q, run %q, table %s: want one of them: %w", s.Dir, s.Run, table, hone.ErrInvalid)
	}
	if s.Table == nil {
		return nil
	}
	if err := s.Table.column().Validate(); err != nil {
		return fmt.Errorf("source of new problems: %w", err)
	}
	return nil
}

func (t Table) column() storage.Column { return storage.Column{Table: t.Name, Name: t.Column} }

// find reads the keys of the source: of a folder in the order of its files, of a run or a table sorted.
func (v *surveyor) find(ctx context.Context) (found Found, keys []string, err error) {
	switch source := v.in.Source; {
	case source.Run != "":
		run, err := v.deps.Store.RunNamed(ctx, source.Run)
		if err != nil {
			return found, nil, err
		}
		keys, err = v.deps.Store.ProblemKeys(ctx, run.ID, v.job.Task)
		return found, keys, err
	case source.Table != nil:
		keys, err = v.tableKeys(ctx, *source.Table, &found)
		return found, keys, err
	default:
		keys, err = folderKeys(source.Dir, &found)
		return found, keys, err
	}
}

// tableKeys are the problems in a table. Rows that hold none are counted.
func (v *surveyor) tableKeys(ctx context.Context, t Table, found *Found) (keys []string, err error) {
	var empty int
	if t.AddressFrom == "" {
		keys, empty, err = v.deps.Store.Texts(ctx, t.column())
	} else {
		address := ""
		if v.deps.Environment != nil {
			address = v.deps.Environment(t.AddressFrom)
		}
		if address == "" {
			return nil, fmt.Errorf("table %s: this worker has no %s in its environment, which should be the address of a Postgres: %w",
				t.Name, t.AddressFrom, hone.ErrInvalid)
		}
		keys, empty, err = storage.TextsOf(ctx, address, t.column())
	}
	for range empty {
		found.bad(fmt.Sprintf("table %s: a row without %s", t.Name, t.Column))
	}
	return keys, err
}

// folderKeys are the problems in the files of a folder.
func folderKeys(dir string, found *Found) (keys []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("folder of problems %q: %w: %w", dir, err, hone.ErrInvalid)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("folder of problems: %w", err)
	}
	slices.Sort(files)
	for _, file := range files {
		some, err := readKeys(file, found)
		if err != nil {
			return nil, err
		}
		keys = append(keys, some...)
	}
	return keys, nil
}

// readKeys are the problems in a file, one JSON object a line. Lines that hold none are counted.
func readKeys(path string, found *Found) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys []string
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var one struct {
			Problem *string `json:"problem"`
		}
		err := json.Unmarshal(line, &one)
		if err == nil && one.Problem == nil {
			err = errNoProblem
		}
		if err != nil {
			found.bad(fmt.Sprintf("%s:%d: %v", filepath.Base(path), number, err))
			continue
		}
		keys = append(keys, *one.Problem)
	}
	return keys, lines.Err()
}

var errNoProblem = errors.New(`no "problem"`)

// bad counts a line or a row that names no problem.
func (f *Found) bad(what string) {
	f.Bad++
	if f.FirstBad == "" {
		f.FirstBad = what
	}
}
