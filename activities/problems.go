package activities

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/task/game24"
)

// A list of problems is a blob of their keys, one a line.

func putText(ctx context.Context, blobs blob.Store, text string) (blob.Digest, error) {
	digest, _, err := blobs.Put(ctx, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("store list of problems: %w", err)
	}
	return digest, nil
}

// readProblems are the problems of a stored list.
func (s *session) readProblems(ctx context.Context, digest blob.Digest) ([]hone.Problem, error) {
	text, err := loadBlob(ctx, s.deps.Blobs, digest, func(r io.Reader) (string, error) {
		raw, err := io.ReadAll(r)
		return string(raw), err
	})
	if err != nil {
		return nil, fmt.Errorf("list of problems: %w", err)
	}
	var out []hone.Problem
	for key := range strings.Lines(text) {
		p, err := s.task.Problem(strings.TrimSuffix(key, "\n"))
		if err != nil {
			return nil, fmt.Errorf("list of problems %s: %w", digest, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// listed are the problems of the job's list, none of which may be kept for evaluation.
func (s *session) listed(ctx context.Context) ([]hone.Problem, error) {
	out, err := s.readProblems(ctx, blob.Digest(s.job.Problems))
	if err != nil {
		return nil, err
	}
	reserved, err := s.reserved()
	if err != nil {
		return nil, err
	}
	for _, p := range out {
		if reserved[p.Key] {
			return nil, fmt.Errorf("list of problems %s: %q is kept for evaluation: %w", s.job.Problems, p.Key, hone.ErrInvalid)
		}
	}
	return out, nil
}

// reserved are the keys of the problems that are kept for evaluation.
func (s *session) reserved() (map[string]bool, error) {
	out := make(map[string]bool)
	splits := []hone.Split{hone.SplitHeldOut}
	if s.job.Task == game24.Name && len(s.job.Game24.Yao)+len(s.deps.Yao) > 0 {
		splits = append(splits, game24.SplitYao)
	}
	for _, split := range splits {
		problems, err := s.task.Problems(split)
		if err != nil {
			return nil, err
		}
		for _, p := range problems {
			out[p.Key] = true
		}
	}
	return out, nil
}
