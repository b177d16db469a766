package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/storage"
)

func (a *app) showCommand() *cobra.Command {
	var scoring int
	var yao string
	cmd := &cobra.Command{
		Use:   "show RUN/ITERATION/SAMPLE",
		Short: "Show a stored trajectory, step by step, with what it earned and what training made of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				name, iteration, sample, err := trajectoryName(args[0])
				if err != nil {
					return err
				}
				l, err := a.load(ctx, s, store, name, yao)
				if err != nil {
					return err
				}
				shown, err := l.show(ctx, store, hone.TrajectoryID{Run: l.run.ID, Iteration: iteration, Sample: sample}, scoring)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(shown)
				}
				_, colour := a.terminal()
				shown.write(a.stdout, colour)
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&scoring, "scoring", storage.LiveScoring, "number of the scoring; 0 is what the run was trained on")
	cmd.Flags().StringVar(&yao, "yao", "", "24.csv that the run was trained with")
	return cmd
}

// trajectoryName reads run/iteration/sample; the run is a name.
func trajectoryName(text string) (run string, iteration, sample int, err error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 {
		var errI, errS error
		iteration, errI = strconv.Atoi(parts[1])
		sample, errS = strconv.Atoi(parts[2])
		if errI == nil && errS == nil && iteration >= 0 && sample >= 0 {
			return parts[0], iteration, sample, nil
		}
	}
	return "", 0, 0, fmt.Errorf("trajectory %q: want a run's name, an iteration and a sample, such as demo-1/3/17: %w", text, hone.ErrInvalid)
}

// shownTrajectory is a trajectory with everything that is known of it.
type shownTrajectory struct {
	ID        hone.TrajectoryID `json:"id"`
	Run       string            `json:"run"`
	Problem   hone.Problem      `json:"problem"`
	Behaviour int               `json:"behaviour"`
	Source    hone.Source       `json:"source"`
	// TakenFrom is the trajectory that this one is a copy of, and Staleness the updates between the policy that sampled it and the one that
	// learned from it; both are left out where the run sampled it itself.
	TakenFrom string       `json:"taken_from,omitempty"`
	Staleness int          `json:"staleness,omitempty"`
	Finish    hone.Finish  `json:"finish"`
	Scoring   int          `json:"scoring"`
	Outcome   hone.Outcome `json:"outcome"`
	// Reward is the sum of Steps' rewards and of Layers' totals; Trained is what the update was given, where it was trained on.
	Reward    float64        `json:"reward"`
	Trained   *float64       `json:"trained,omitempty"`
	Breakdown hone.Breakdown `json:"breakdown"`
	Steps     []shownStep    `json:"steps"`
}

// shownStep is one step. Sums are over its tokens, Value and Advantage are of its first token.
type shownStep struct {
	Text   string  `json:"text"`
	Tokens int     `json:"tokens"`
	Reward float64 `json:"reward"`
	// KL is the sum of logp less the reference's, Value what the value head said.
	KL    float64 `json:"kl"`
	Value float64 `json:"value"`
	// Advantage is the mean over the step's tokens, as it was trained on; nil where it wasn't.
	Advantage *float64 `json:"advantage,omitempty"`
	// Ratio is the step's probability under the version that the iteration made over that under the one that sampled, or with
	// ppo.importance.truncate the one that the update began from; Clipped counts tokens that ended outside of the
	// clip's bounds on the side that their advantage pushes to. Nil where there is no next version.
	Ratio   *float64 `json:"ratio,omitempty"`
	Clipped int      `json:"clipped"`
}

func (l *loaded) show(ctx context.Context, store *storage.Store, id hone.TrajectoryID, scoring int) (shownTrajectory, error) {
	t, err := store.Trajectory(ctx, id)
	if err != nil {
		return shownTrajectory{}, err
	}
	out := shownTrajectory{
		ID: id, Run: l.run.Name, Problem: t.Problem, Behaviour: t.Behaviour, Source: t.Source, Finish: t.Finish, Scoring: scoring,
	}
	if from := l.job.FromScoring; id.Iteration < from.Cycles() {
		out.TakenFrom = fmt.Sprintf("%s/%d/%d", from.Run, from.From+id.Iteration, id.Sample)
		out.Staleness = from.Staleness(id.Iteration)
	}
	if out.Breakdown, err = store.LoadBreakdown(ctx, id, scoring); err != nil {
		return out, err
	}
	out.Outcome, out.Reward = out.Breakdown.Outcome, out.Breakdown.Total()
	targets, err := store.LoadTargets(ctx, id.Run, id.Iteration)
	if err != nil {
		return out, err
	}
	var advantages []float32
	for _, target := range targets {
		if target.Sample == id.Sample {
			advantages, out.Trained = target.Advantages, &target.Reward
		}
	}
	after, err := l.aftermath(ctx, store, t)
	if err != nil {
		return out, err
	}
	after.advantages = advantages
	rewards := out.Breakdown.StepRewards()
	for i, s := range t.Steps {
		step := after.step(t, s)
		step.Reward = rewards[i]
		out.Steps = append(out.Steps, step)
	}
	return out, nil
}

// aftermath is what other versions and the update made of a trajectory's tokens; next and advantages may be nil. old is what ratios are
// against: what the sampler recorded, or with ppo.importance.truncate the version that the update began from.
type aftermath struct {
	reference, old, next, advantages []float32
	clip                             ppo.Config
}

func (l *loaded) aftermath(ctx context.Context, store *storage.Store, t hone.Trajectory) (aftermath, error) {
	out := aftermath{old: t.Logp, clip: l.job.PPO}
	look := activities.NewInspector(l.activities)
	reference, err := look.ReferenceLogp(ctx, t.ID.Run, []hone.Trajectory{t})
	if err != nil {
		return out, withoutEnvelope(err)
	}
	out.reference = reference[0]
	head, err := store.Head(ctx, t.ID.Run)
	if err != nil || head.Number <= t.ID.Iteration {
		return out, err
	}
	next, err := look.Logp(ctx, t.ID.Run, t.ID.Iteration+1, []hone.Trajectory{t})
	if err != nil {
		return out, withoutEnvelope(err)
	}
	out.next = next[0]
	if l.job.PPO.Importance.Truncate > 0 {
		old, err := look.Logp(ctx, t.ID.Run, t.ID.Iteration, []hone.Trajectory{t})
		if err != nil {
			return out, withoutEnvelope(err)
		}
		out.old = old[0]
	}
	return out, nil
}

// step sums it up over a step.
func (a aftermath) step(t hone.Trajectory, s hone.Step) shownStep {
	step := shownStep{Text: s.Text, Tokens: s.To - s.From}
	if s.From < len(t.Values) {
		step.Value = float64(t.Values[s.From])
	}
	logRatio, sum := 0.0, 0.0
	for k := s.From; k < s.To; k++ {
		step.KL += float64(t.Logp[k]) - float64(a.reference[k])
		if a.advantages != nil {
			sum += float64(a.advantages[k])
		}
		if a.next == nil {
			continue
		}
		d := float64(a.next[k]) - float64(a.old[k])
		logRatio += d
		if a.advantages != nil {
			up, ratio := a.advantages[k] > 0, math.Exp(d)
			if up && ratio > 1+a.clip.ClipHigh || !up && ratio < 1-a.clip.ClipLow {
				step.Clipped++
			}
		}
	}
	if a.advantages != nil && s.To > s.From {
		mean := sum / float64(s.To-s.From)
		step.Advantage = &mean
	}
	if a.next != nil {
		ratio := math.Exp(logRatio)
		step.Ratio = &ratio
	}
	return step
}

func (t shownTrajectory) write(w io.Writer, colour bool) {
	paint := func(v float64, text string) string {
		switch {
		case !colour || v == 0:
			return text
		case v > 0:
			return "\x1b[32m" + text + "\x1b[0m"
		default:
			return "\x1b[31m" + text + "\x1b[0m"
		}
	}
	by := fmt.Sprintf("%s by version %d", t.Source, t.Behaviour)
	if t.TakenFrom != "" {
		by = fmt.Sprintf("%s, taken from %s and %d updates old", t.Source, t.TakenFrom, t.Staleness)
	}
	fmt.Fprintf(w, "%s/%d/%d: %s, ended by %s, %s\n%s\n\n", t.Run, t.ID.Iteration, t.ID.Sample, by, t.Finish, t.Outcome,
		strings.TrimSpace(t.Problem.Prompt))
	rows := [][]string{{"", "tokens", "reward", "KL", "value", "advantage", "ratio", "clipped"}}
	optional := func(v *float64, format string) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf(format, *v)
	}
	tokens, kl := 0, 0.0
	for _, s := range t.Steps {
		rows = append(rows, []string{
			strings.TrimRight(s.Text, "\n"), fmt.Sprint(s.Tokens), fmt.Sprintf("%+.4f", s.Reward), fmt.Sprintf("%+.4f", s.KL),
			fmt.Sprintf("%.4f", s.Value), optional(s.Advantage, "%+.4f"), optional(s.Ratio, "%.4f"), fmt.Sprint(s.Clipped),
		})
		tokens, kl = tokens+s.Tokens, kl+s.KL
	}
	rows = append(rows, []string{"", fmt.Sprint(tokens), fmt.Sprintf("%+.4f", t.Reward), fmt.Sprintf("%+.4f", kl), "", "", "", ""})
	writeTable(w, rows)
	fmt.Fprintln(w)
	for _, layer := range t.Breakdown.Layers {
		fmt.Fprintf(w, "%s %s\n", layer.Layer, paint(layer.Total(), fmt.Sprintf("%+.4f", layer.Total())))
		for _, term := range layer.Terms {
			if v := layer.Weight * term.Score; term.Score != 0 {
				fmt.Fprintf(w, "  step %d: %s  %s\n", term.Step+1, paint(v, fmt.Sprintf("%+.4f", v)), term.Reason)
			}
		}
	}
	if t.Trained == nil {
		fmt.Fprintln(w, "\nnot trained on by the policy gradient")
	} else {
		fmt.Fprintf(w, "\ntrained on with reward %+.4f\n", *t.Trained)
	}
}

func (a *app) regenerateCommand() *cobra.Command {
	var yao string
	cmd := &cobra.Command{
		Use:   "regenerate RUN[/ITERATION[/SAMPLE]]",
		Short: "Generate stored trajectories again and hold them against the record, bit for bit",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.regenerate(ctx, s, store, args[0], yao)
			})
		},
	}
	cmd.Flags().StringVar(&yao, "yao", "", "24.csv that the run was trained with")
	return cmd
}

// regenerated is what came of it.
type regenerated struct {
	Run          string              `json:"run"`
	Trajectories int                 `json:"trajectories"`
	Equal        int                 `json:"equal"`
	Differences  []replay.Difference `json:"differences"`
}

// selection reads RUN, RUN/ITERATION or RUN/ITERATION/SAMPLE; what isn't given is -1.
func selection(what string) (run string, iteration, sample int, err error) {
	switch strings.Count(what, "/") {
	case 0:
		return what, -1, -1, nil
	case 1:
		run, iteration, _, err = trajectoryName(what + "/0")
		return run, iteration, -1, err
	default:
		return trajectoryName(what)
	}
}

func (a *app) regenerate(ctx context.Context, s *servers, store *storage.Store, what, yao string) error {
	name, only, sample, err := selection(what)
	if err != nil {
		return err
	}
	l, err := a.load(ctx, s, store, name, yao)
	if err != nil {
		return err
	}
	iterations := []int{only}
	if only < 0 {
		if iterations, err = store.ScoredIterations(ctx, l.run.ID, 0, -1); err != nil {
			return err
		}
	}
	out := regenerated{Run: l.run.Name, Differences: []replay.Difference{}}
	for _, iteration := range iterations {
		again, err := activities.NewInspector(l.activities).Regenerate(ctx, l.run.ID, iteration)
		if err != nil {
			return withoutEnvelope(err)
		}
		for i, stored := range again.Stored {
			if sample >= 0 && stored.ID.Sample != sample {
				continue
			}
			out.Trajectories++
			if d, same := replay.Compare(stored, again.Again[i], again.Fingerprint); same {
				out.Equal++
			} else {
				out.Differences = append(out.Differences, d)
			}
		}
	}
	if out.Trajectories == 0 {
		return fmt.Errorf("no stored trajectory is called %s: %w", what, hone.ErrNotFound)
	}
	if a.json {
		if err := a.writeJSON(out); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "%d of %d trajectories of run %s are the same, bit for bit\n", out.Equal, out.Trajectories, out.Run)
		for _, d := range out.Differences {
			fmt.Fprintln(a.stdout, d)
		}
	}
	if len(out.Differences) > 0 {
		return fmt.Errorf("%d trajectories came out otherwise: %w", len(out.Differences), hone.ErrConflict)
	}
	return nil
}
