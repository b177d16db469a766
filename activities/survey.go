package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/gate"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// Survey looks for problems that are new to the policy that a service uses, and says what to train on, or why nothing is to be trained;
// the latter is recorded with the service. Asking again under the same request finds the same record.
func (a *Activities) Survey(ctx context.Context, in SurveyInput) (out SurveyOutput, err error) {
	err = beating(ctx, "survey", func(ctx context.Context, _ *pulse) error {
		v, err := a.newSurveyor(ctx, in)
		if err != nil {
			return err
		}
		if out, err = v.survey(ctx); err != nil || out.Skip == "" {
			return err
		}
		details, err := json.Marshal(out.Found)
		if err != nil {
			return fmt.Errorf("encode survey: %w", err)
		}
		_, err = a.deps.Store.SavePublication(ctx, storage.Publication{
			Service: in.Service, Request: in.Request, State: storage.Skipped, Reason: out.Skip, Details: details,
		}, in.Keep)
		return err
	})
	return out, err
}

// surveyor is one survey under way.
type surveyor struct {
	*Activities

	in      SurveyInput
	use     storage.Publication
	parent  storage.Run
	job     Job
	session *session
	history []storage.Publication
}

func (a *Activities) newSurveyor(ctx context.Context, in SurveyInput) (*surveyor, error) {
	v := &surveyor{Activities: a, in: in}
	var err error
	if err := in.Source.Validate(); err != nil {
		return nil, err
	}
	if v.use, err = a.deps.Store.InService(ctx, in.Service); err != nil {
		return nil, err
	}
	if v.parent, err = a.deps.Store.Run(ctx, v.use.Run); err != nil {
		return nil, err
	}
	if v.job, err = a.jobAt(ctx, v.parent, v.use.Version); err != nil {
		return nil, err
	}
	if v.session, err = a.session(ctx, v.use.Run); err != nil {
		return nil, err
	}
	v.history, err = a.deps.Store.Publications(ctx, in.Service)
	return v, err
}

func (v *surveyor) survey(ctx context.Context) (SurveyOutput, error) {
	out := SurveyOutput{Parent: v.use.Run, Version: v.use.Version}
	known, err := v.known(ctx)
	if err != nil {
		return out, err
	}
	found, keys, err := v.find(ctx)
	if err != nil {
		return out, err
	}
	fresh, err := v.sift(keys, known, &found)
	if err != nil {
		return out, err
	}
	before := make([]hone.Problem, 0, len(known))
	for _, p := range known {
		before = append(before, p)
	}
	slices.SortFunc(before, byKey)
	found.Old, found.New, found.Drift = len(before), len(fresh), gate.Compare(before, fresh)
	out.Found = found
	if len(fresh) > 0 {
		if out.Fresh, err = v.putProblems(ctx, fresh); err != nil {
			return out, err
		}
	}
	if out.Skip = v.skip(out); out.Skip != "" {
		return out, nil
	}
	again := min(int(v.in.Replay*float64(len(fresh))+0.5), len(before))
	for _, i := range hone.Rand(hone.Seed(v.job.Seed, "replay", v.in.Request)).Perm(len(before))[:again] {
		fresh = append(fresh, before[i])
	}
	slices.SortFunc(fresh, byKey)
	job := v.job
	if job.Problems, err = v.putProblems(ctx, fresh); err != nil {
		return out, err
	}
	job.Cycles = v.in.Cycles
	set := make([]storage.Change, len(v.in.Set))
	for i, s := range v.in.Set {
		set[i] = storage.Change{Key: s.Key, New: s.Value}
	}
	if job, err = job.with(set); err != nil {
		return out, err
	}
	if err := job.Validate(); err != nil {
		return out, err
	}
	out.Found.Replayed = again
	out.Config, err = json.Marshal(job)
	return out, err //nolint:wrapcheck // it was decoded from JSON
}

func byKey(a, b hone.Problem) int { return cmp.Compare(a.Key, b.Key) }

// known are the problems that policies of the service were trained on, by key.
func (v *surveyor) known(ctx context.Context) (map[string]hone.Problem, error) {
	own, err := v.session.task.Problems(hone.SplitTrain)
	if err != nil {
		return nil, err
	}
	lists := [][]hone.Problem{own, v.session.train}
	for _, p := range v.history {
		if p.State == storage.Refused || p.Problems == "" {
			continue
		}
		list, err := v.session.readProblems(ctx, p.Problems)
		if err != nil {
			return nil, fmt.Errorf("problems of attempt %d of service %s: %w", p.Number, v.in.Service, err)
		}
		lists = append(lists, list)
	}
	known := make(map[string]hone.Problem)
	for _, list := range lists {
		for _, p := range list {
			known[p.Key] = p
		}
	}
	return known, nil
}

// sift keeps the problems that are new, each once.
func (v *surveyor) sift(keys []string, known map[string]hone.Problem, found *Found) ([]hone.Problem, error) {
	reserved, err := v.session.reserved()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	var fresh []hone.Problem
	for _, key := range keys {
		p, err := v.session.task.Problem(key)
		_, old := known[p.Key]
		switch {
		case err != nil:
			found.bad(err.Error())
		case seen[p.Key]:
		case reserved[p.Key]:
			found.Reserved++
		case old:
			found.Known++
		default:
			fresh = append(fresh, p)
		}
		if err == nil {
			seen[p.Key] = true
		}
	}
	slices.SortFunc(fresh, byKey)
	return fresh, nil
}

// skip says why nothing is to be trained; "" where something is.
func (v *surveyor) skip(out SurveyOutput) string {
	f := out.Found
	switch {
	case f.New == 0:
		return fmt.Sprintf("nothing is new: %d problems are known, %d are kept for evaluation, %d lines hold none", f.Known, f.Reserved, f.Bad)
	case f.New < v.in.Least:
		return fmt.Sprintf("%d problems are new, and %d are wanted", f.New, v.in.Least)
	}
	for _, p := range v.history {
		if p.Problems == blob.Digest(out.Fresh) && p.State == storage.Refused && p.Number > v.use.Number {
			return fmt.Sprintf("the %d new problems were trained on at %s, and what came of it was refused; nothing is new since",
				f.New, p.Created.UTC().Format(time.DateTime))
		}
	}
	if most := gate.Most(f.Drift); most < v.in.MinDrift {
		return fmt.Sprintf("the %d new problems are like the old ones: no feature has drifted by more than %.4f nats, and %.4f are wanted",
			f.New, most, v.in.MinDrift)
	}
	return ""
}

// putProblems stores a list of problems and returns its digest.
func (v *surveyor) putProblems(ctx context.Context, list []hone.Problem) (string, error) {
	var text strings.Builder
	for _, p := range list {
		text.WriteString(p.Key + "\n")
	}
	digest, err := putText(ctx, v.deps.Blobs, text.String())
	return string(digest), err
}
