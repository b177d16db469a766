package verify_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/hone-rl/hone/storage/verify"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

const (
	cycles = 2
	// group samples of each of prompts problems, and searched problems more; topUp are the prompts of a second round.
	group, prompts, searched, topUp = 2, 4, 3, 1
)

// world is a run with two committed cycles, each of two rounds, an open third, a replay and evaluations.
type world struct {
	*testing.T
	address, dir string
	store        *storage.Store
	blobs        *blob.Dir
	run          hone.RunID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, address: storagetest.URL(t), dir: t.TempDir()}
	w.store = storagetest.OpenURL(t, w.address)
	var err error
	w.blobs, err = blob.OpenDir(w.dir)
	require.NoError(t, err)
	run, err := w.store.CreateRun(t.Context(), storage.NewRun{Name: "checked", Config: json.RawMessage(`{}`), Seed: 1})
	require.NoError(t, err)
	w.run = run.ID
	fence, err := w.store.AcquireLease(t.Context(), w.run, "learner", time.Minute)
	require.NoError(t, err)
	require.NoError(t, w.store.PublishFirst(t.Context(), w.run, fence, storage.First{Version: w.version(0)}))
	for i := range cycles + 1 {
		w.sample(i)
		if i < cycles {
			w.commit(i, fence)
		}
	}
	for version := range 2 {
		require.NoError(t, w.store.SaveEvaluation(t.Context(), storage.EvaluationKey{
			Run: w.run, Version: version, Split: hone.SplitHeldOut, Mode: "greedy",
		}, []storage.Answer{
			{Problem: problem(0), Outcome: hone.OutcomeRight, Tokens: 3, Completion: "24"},
			{Problem: problem(1), Outcome: hone.OutcomeWrong, Reason: "no", Tokens: 4, Completion: "23"},
		}))
	}
	scoring, err := w.store.AddScoring(t.Context(), w.run, json.RawMessage(`{"correctness":2}`))
	require.NoError(t, err)
	require.NoError(t, w.store.SaveScoring(t.Context(), storage.ScoringKey{
		ShardKey: storage.ShardKey{Run: w.run, Iteration: 1}, Scoring: scoring,
	}, w.scored(w.samples(1, 0), 2)))
	require.NoError(t, w.store.SetStatus(t.Context(), w.run, storage.StatusRunning, ""))
	return w
}

func problem(slot int) hone.Problem {
	return hone.Problem{Task: "game24", Key: fmt.Sprint(slot), Prompt: "?"}
}

// version puts the parts of a version.
func (w *world) version(n int) storage.Version {
	w.Helper()
	put := func(text string) blob.Digest {
		digest, _, err := w.blobs.Put(w.Context(), func(to io.Writer) error {
			_, err := io.WriteString(to, text)
			return err
		})
		require.NoError(w, err)
		return digest
	}
	return storage.Version{
		Weights: put(fmt.Sprintf("weights %d", n)), Optimiser: put(fmt.Sprintf("optimiser %d", n)),
		State: json.RawMessage(fmt.Sprintf(`{"beta": 0.1, "prompts": %d}`, n)),
	}
}

// samples are the trajectories of a round of an iteration.
func (w *world) samples(iteration, round int) []hone.Trajectory {
	var out []hone.Trajectory
	add := func(sample int, source hone.Source) {
		out = append(out, hone.Trajectory{
			ID:      hone.TrajectoryID{Run: w.run, Iteration: iteration, Sample: sample},
			Problem: problem(sample / group), Behaviour: iteration, Source: source, Seed: uint64(sample), Fingerprint: "test",
			Finish: hone.FinishStop, Prompt: []hone.TokenID{1, 2}, Tokens: []hone.TokenID{3, 4, hone.TokenID(sample)},
			Logp: []float32{-1, -0.5, -0.25}, Values: []float32{0, 0.5, 1}, Text: "a\nb\n",
			Steps: []hone.Step{{Text: "a\n", From: 0, To: 1}, {Text: "b\n", From: 1, To: 3}},
		})
	}
	if round == 0 {
		for sample := range prompts * group {
			add(sample, hone.SourceSample)
		}
		for slot := range searched {
			add((prompts+slot)*group, hone.SourceSearch)
		}
		return out
	}
	for sample := range topUp * group {
		add((prompts+searched)*group+sample, hone.SourceSample)
	}
	return out
}

func (w *world) scored(all []hone.Trajectory, weight float64) []storage.Scored {
	out := make([]storage.Scored, len(all))
	for i, t := range all {
		outcome, score := hone.OutcomeWrong, 0.0
		if t.ID.Sample%3 == 0 {
			outcome, score = hone.OutcomeRight, 1
		}
		out[i] = storage.Scored{Sample: t.ID.Sample, Breakdown: hone.Breakdown{Outcome: outcome, Steps: 2, Layers: []hone.LayerScore{
			{Layer: "correctness", Weight: weight, Terms: []hone.Term{{Step: 1, Score: score, Reason: "it is"}}},
			{Layer: "step", Weight: 0.1, Terms: []hone.Term{{Step: 0, Score: -1.0 / 3}, {Step: 1, Score: -0.1}}},
			{Layer: "none", Weight: 1e-300, Terms: []hone.Term{{Step: 0, Score: math.Copysign(0, -1)}, {Step: 1, Score: 1e300}}},
			{Layer: "empty", Weight: 1},
		}}}
	}
	return out
}

// sample stores an iteration's trajectories in uneven shards, and its scoring.
func (w *world) sample(iteration int) {
	w.Helper()
	require.NoError(w, w.store.StartIteration(w.Context(), storage.Iteration{
		Run: w.run, Iteration: iteration, Behaviour: iteration, Prompts: prompts + searched + topUp,
	}))
	for round := range 2 {
		all := w.samples(iteration, round)
		shards := [][]hone.Trajectory{all}
		if round == 0 { // of samples and searched lines: 1 and 0, 5 and 2, 2 and 1
			at := prompts * group
			shards = [][]hone.Trajectory{
				all[:1], append(append([]hone.Trajectory(nil), all[1:6]...), all[at:at+2]...),
				append(append([]hone.Trajectory(nil), all[6:at]...), all[at+2:]...),
			}
		}
		for i, part := range shards {
			s := storage.Shard{Key: storage.ShardKey{Run: w.run, Iteration: iteration, Shard: i, Round: round}, Trajectories: part}
			for _, t := range part {
				if t.Source == hone.SourceSearch {
					s.Trees = append(s.Trees, storage.Tree{Sample: t.ID.Sample, Nodes: []storage.Node{
						{Node: 0, Parent: -1, Visits: 2, ValueSum: 1}, {Node: 1, Parent: 0, Depth: 1, Order: 0, Visits: 1, Action: "a\n"},
					}})
				}
			}
			require.NoError(w, w.store.SaveShard(w.Context(), s))
		}
		require.NoError(w, w.store.SaveScoring(w.Context(), storage.ScoringKey{
			ShardKey: storage.ShardKey{Run: w.run, Iteration: iteration, Round: round}, Scoring: storage.LiveScoring,
		}, w.scored(all, 1)))
	}
}

func (w *world) commit(iteration int, fence int64) {
	w.Helper()
	all := append(w.samples(iteration, 0), w.samples(iteration, 1)...)
	c := storage.Commit{
		Run: w.run, Iteration: iteration, From: iteration, Fence: fence, Version: w.version(iteration + 1),
		Metrics: map[string]float64{"trajectories": float64(len(all)), "generated_tokens": float64(3 * len(all))},
	}
	reward := 0.0
	for _, s := range w.scored(all, 1) {
		c.Metrics["outcome_"+string(s.Breakdown.Outcome)]++
		reward += s.Breakdown.Total()
		c.Targets = append(c.Targets, storage.Target{
			Sample: s.Sample, Reward: s.Breakdown.Total(), Advantages: []float32{1, 2, 3}, Returns: []float32{3, 2, 1},
		})
	}
	c.Metrics["reward"] = reward / float64(len(all))
	for slot := range prompts + searched + topUp {
		c.Prompts = append(c.Prompts, storage.PromptEnd{Slot: slot, Problem: problem(slot), State: storage.PromptTrained})
	}
	_, err := w.store.CommitCycle(w.Context(), c)
	require.NoError(w, err)
}

func (w *world) verify() verify.Report {
	w.Helper()
	report, err := verify.Run(w.Context(), verify.Input{Store: w.store, Blobs: w.blobs, Run: w.run})
	require.NoError(w, err)
	return report
}

// exec changes rows behind the store's back.
func (w *world) exec(sql string) {
	w.Helper()
	conn, err := pgx.Connect(w.Context(), w.address)
	require.NoError(w, err)
	defer conn.Close(w.Context())
	_, err = conn.Exec(w.Context(), "SET session_replication_role = replica") // no foreign key stands in the way
	require.NoError(w, err)
	tag, err := conn.Exec(w.Context(), sql)
	require.NoError(w, err)
	require.Positive(w, tag.RowsAffected(), sql)
}

func (w *world) file(d blob.Digest) string {
	return filepath.Join(w.dir, "sha256", string(d[:2]), string(d))
}

func TestWholeRecordHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := w.verify()
	require.Empty(t, report.Faults)
	require.Equal(t, cycles, report.Version)
	checked := make(map[string]int)
	for _, c := range report.Checked {
		checked[c.What] = c.Number
	}
	perCycle := prompts*group + searched + topUp*group
	require.Equal(t, map[string]int{
		"versions": 3, "iterations": 3, "blobs": 6, "prompts": 2 * (prompts + searched + topUp), "ledger entries": 3*6 + 1,
		"trajectories": 2 * perCycle, "search nodes": 2 * searched * 2, "shards": 2 * 4, "scorings": 2*2 + 1,
		"scores": 2*perCycle + prompts*group + searched, "targets": 2 * perCycle, "metrics": 2 * 5, "evaluations": 2, "answers": 4,
	}, checked)
	require.Equal(t, report, w.verify(), "it changes nothing")
	require.Equal(t, report.Digest, newWorld(t).verify().Digest, "of the same content, in another database")
	w.exec(`UPDATE runs SET created_at = now() + interval '1 day', "commit" = 'other'`)
	require.Equal(t, report.Digest, w.verify().Digest, "times and programs are no content")
}

// Each thing that is damaged is found, and nothing else is complained of but what follows from it.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	const shardGone = "are not those that were stored"
	for name, damage := range map[string]struct {
		sql string
		// want are parts of the faults, each "where: what", in order.
		want []string
	}{
		"a version is missing": {
			`DELETE FROM policy_versions WHERE version = 1`,
			[]string{"version 2: it follows version 0"},
		},
		"the head is behind": {
			`UPDATE policy_heads SET version = 1`,
			[]string{
				"head: it is version 1, and the newest version is 2",
			},
		},
		"an iteration has no prompts": {
			`DELETE FROM iteration_prompts WHERE iteration = 1`,
			[]string{"iteration 1: of 8 prompts 0 have an end"},
		},
		"a prompt's end is missing": {
			`DELETE FROM iteration_prompts WHERE iteration = 0 AND slot = 3`,
			[]string{"iteration 0: of 8 prompts 7 have an end, the last in slot 7"},
		},
		"a prompt too many": {
			`UPDATE iterations SET prompts = 7 WHERE iteration = 0`,
			[]string{"iteration 0: of 7 prompts 8 have an end"},
		},
		"a cycle is not marked": {
			`UPDATE iterations SET status = 'open' WHERE iteration = 1`,
			[]string{
				"version 2: iteration 1, which made it, is open", "iteration 1: it is open, and there is a version 2",
				"iteration 1: it is open, and 8 of its prompts have an end",
			},
		},
		"another version sampled": {
			`UPDATE iterations SET behaviour = 2 WHERE iteration = 1`,
			[]string{
				"iteration 1: it was sampled by version 2",
				"iteration 1, sample 0: it was sampled by version 1, and its iteration by 2",
			},
		},
		"an iteration is missing": {
			`DELETE FROM iterations WHERE iteration = 1`,
			[]string{
				"version 2: iteration 1, which made it, is not there",
				"iteration 1: it was never started, and has 13 rows of trajectories",
			},
		},
		"the status has no time": {
			`UPDATE runs SET status = 'succeeded', finished_at = NULL`,
			[]string{"status: succeeded, finished at 0001"},
		},
		"a trajectory is missing": {
			`DELETE FROM trajectories WHERE iteration = 0 AND sample = 5`,
			[]string{"iteration 0: 12 trajectories are stored, and the ledger has 13", "iteration 0: load iteration 0"},
		},
		"of an open cycle, too": {
			`DELETE FROM trajectories WHERE iteration = 2 AND sample = 5`,
			[]string{"iteration 2: 12 trajectories are stored, and the ledger has 13"},
		},
		"a completion": {
			`UPDATE trajectories SET completion = 'x' WHERE iteration = 0 AND sample = 0`,
			[]string{"iteration 0, shard 0 of round 0: its 1 trajectories " + shardGone},
		},
		"a token": {
			`UPDATE trajectories SET tokens = set_byte(tokens, 8, 9) WHERE iteration = 1 AND sample = 7`,
			[]string{"iteration 1, shard 2 of round 0: its 3 trajectories " + shardGone},
		},
		"the packing": {
			`UPDATE trajectories SET tokens = set_byte(tokens, 0, 9) WHERE iteration = 1 AND sample = 7`,
			[]string{"iteration 1: load iteration 1"},
		},
		"a step": {
			`UPDATE steps SET tok_to = 2 WHERE iteration = 1 AND sample = 14 AND step = 1`,
			[]string{"iteration 1, shard 0 of round 1: its 2 trajectories " + shardGone},
		},
		"a node of a tree": {
			`UPDATE search_nodes SET visits = 3 WHERE iteration = 1 AND sample = 8 AND node = 1`,
			[]string{"iteration 1, shard 1 of round 0: its 7 trajectories " + shardGone},
		},
		"a root of a tree": {
			`DELETE FROM search_nodes WHERE iteration = 1 AND sample = 12 AND node = 0`,
			[]string{
				"iteration 1: 5 nodes of search trees are stored, and 4 are of a tree with a root",
				"iteration 1, shard 2 of round 0: its 3 trajectories " + shardGone,
			},
		},
		"an entry of the ledger": {
			`DELETE FROM ingest_batches WHERE batch_key = 'rollout/1/0'`,
			[]string{"iteration 1: 13 trajectories are stored, and the ledger has 12"},
		},
		"a digest of the ledger": {
			`UPDATE ingest_batches SET digest = sha256('x') WHERE batch_key = 'rollout/1/0/1'`,
			[]string{"iteration 1, shard 0 of round 1: its 2 trajectories " + shardGone},
		},
		"a score is missing": {
			`DELETE FROM scores WHERE iteration = 0 AND sample = 15 AND scoring_id = 0`,
			[]string{
				"iteration 0, scoring 0: 12 scores are stored, and the ledger has 13",
				"iteration 0, scoring 0: load scoring 0",
			},
		},
		"an outcome": {
			`UPDATE scores SET outcome = 'right' WHERE iteration = 0 AND sample = 1`,
			[]string{
				"iteration 0, scoring 0: its 11 scores of round 0 " + shardGone,
				"iteration 0: metric outcome_right",
				"iteration 0: metric outcome_wrong",
			},
		},
		"a total": {
			`UPDATE scores SET total = 0.5 WHERE iteration = 1 AND sample = 1 AND scoring_id = 0`,
			[]string{"iteration 1, scoring 0, sample 1: its total is 0.5, and its layers sum to 0.95"},
		},
		"a replay's total": {
			`UPDATE replays SET totals[2] = 0.5 WHERE iteration = 1`,
			[]string{"iteration 1, scoring 1, sample 1: its total is 0.5, and its layers sum to 0.95"},
		},
		"a replay's breakdown": {
			`UPDATE replays SET packed[2] = set_byte(packed[2], 20, 7) WHERE iteration = 1`,
			[]string{"iteration 1, scoring 1: its 11 scores of round 0 " + shardGone},
		},
		"a layer's total": {
			`UPDATE rewards SET total = 0.5 WHERE iteration = 1 AND sample = 1 AND layer = 'step'`,
			[]string{"iteration 1, scoring 0, sample 1: layer step: its total is 0.5"},
		},
		"a step's sum": {
			`UPDATE rewards SET per_step[2] = 0.5 WHERE iteration = 1 AND sample = 1 AND layer = 'step'`,
			[]string{"iteration 1, scoring 0, sample 1: layer step: what it gives to step 1 is not the sum"},
		},
		"a reason": {
			`UPDATE rewards SET detail = jsonb_set(detail, '{0,reason}', '"or not"')
				WHERE iteration = 1 AND sample = 14 AND layer = 'correctness'`,
			[]string{"iteration 1, scoring 0: its 2 scores of round 1 " + shardGone},
		},
		"a term": {
			`UPDATE rewards SET detail = jsonb_set(detail, '{0,step}', '7')
				WHERE iteration = 1 AND sample = 14 AND layer = 'correctness'`,
			[]string{
				"iteration 1, scoring 0: its 2 scores of round 1 " + shardGone,
				"layer correctness: what it gives to step 7",
				"scoring 0: scoring 0 of shard",
			},
		},
		"a scoring that nobody added": {
			`UPDATE replays SET scoring_id = 7 WHERE iteration = 1`,
			[]string{
				"iteration 1, scoring 7: it was never added, and has 11 rows of replays",
				"iteration 1, scoring 1: 0 scores are stored, and the ledger has 11",
			},
		},
		"a target's reward": {
			`UPDATE targets SET reward = 9 WHERE iteration = 0 AND sample = 2`,
			[]string{"iteration 0, target of sample 2: its reward is 9, and the trajectory's total 0.95"},
		},
		"a target of nothing": {
			`UPDATE targets SET sample = 99 WHERE iteration = 0 AND sample = 2`,
			[]string{"iteration 0, target of sample 99: there is no such trajectory"},
		},
		"a target's advantage": {
			`UPDATE targets SET packed = set_byte(set_byte(packed, 10, 192), 11, 127) WHERE iteration = 0 AND sample = 2`,
			[]string{"iteration 0, target of sample 2: token 0: advantage NaN"},
		},
		"a metric": {
			`UPDATE iteration_metrics SET value = value + 1 WHERE iteration = 0 AND name = 'reward'`,
			[]string{"iteration 0: metric reward is"},
		},
		"a number of answers": {
			`DELETE FROM evaluation_answers WHERE version = 1 AND position = 1`,
			[]string{
				"evaluation of version 1, greedy on heldout: 1 answers with 3 tokens, want 2 with 7",
				"its answers have digest",
			},
		},
		"an answer": {
			`UPDATE evaluation_answers SET completion = '25' WHERE version = 1 AND position = 1`,
			[]string{"evaluation of version 1, greedy on heldout: its answers have digest"},
		},
		"trajectories of no iteration": {
			`UPDATE steps SET iteration = 9 WHERE iteration = 2`,
			[]string{"iteration 9: it was never started, and has 26 rows of steps"},
		},
		"weights that are not there": {
			`UPDATE policy_versions SET weights = sha256('x') WHERE version = 1`,
			[]string{"version 1, weights: blob"},
		},
		"a state is another": {
			`UPDATE policy_versions SET state = '{}' WHERE version = 1`,
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := w.verify()
			w.exec(damage.sql)
			report := w.verify()
			if damage.want == nil {
				require.NotEqual(t, before.Digest, report.Digest, "only the digest of all can tell")
				return
			}
			var said []string
			for _, f := range report.Faults {
				said = append(said, f.Where+": "+f.What)
			}
			require.GreaterOrEqual(t, len(said), len(damage.want), "%q", said)
			for i, text := range damage.want {
				require.Contains(t, said[i], text, "%q", said)
			}
		})
	}
}

func TestDamagedFilesAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := w.verify()
	version, err := w.store.Version(t.Context(), w.run, 1)
	require.NoError(t, err)
	file := w.file(version.Weights)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.ToUpper(string(content))), 0o600))
	require.NoError(t, os.Remove(w.file(version.Optimiser)))
	report := w.verify()
	require.Len(t, report.Faults, 2)
	require.Equal(t, "version 1, weights", report.Faults[0].Where)
	require.Contains(t, report.Faults[0].What, "has digest")
	require.Equal(t, "version 1, optimiser", report.Faults[1].Where)
	require.Contains(t, report.Faults[1].What, "not found")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	w.version(1)
	require.Equal(t, whole, w.verify(), "what was put again is whole again")
}

// What went back, and what was forked, holds as well.
func TestRunsWithAHistoryHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.store.Rollback(t.Context(), storage.Rollback{Run: w.run, From: cycles, To: 1})
	require.NoError(t, err)
	require.Empty(t, w.verify().Faults)
	for _, f := range []storage.Fork{
		{Run: storage.NewRun{Name: "goes on", Config: json.RawMessage(`{}`)}},
		{Run: storage.NewRun{Name: "begins anew", Config: json.RawMessage(`{}`)}, Restart: true},
	} {
		f.Parent, f.Version = w.run, 2
		run, err := w.store.ForkRun(t.Context(), f)
		require.NoError(t, err)
		report, err := verify.Run(t.Context(), verify.Input{Store: w.store, Blobs: w.blobs, Run: run.ID})
		require.NoError(t, err)
		require.Empty(t, report.Faults, run.Name)
	}
	w.exec(`UPDATE policy_versions SET state = '{}' WHERE version = 3`)
	w.exec(`UPDATE iterations SET status = 'done' WHERE iteration = 2 AND status = 'abandoned'`)
	report := w.verify()
	require.Equal(t, verify.Fault{
		Where: "version 3", What: "it goes back to version 1, and iteration 2 is done, want abandoned",
	}, report.Faults[0])
	require.Equal(t, verify.Fault{Where: "version 3", What: "it goes back to version 1, and has other content"}, report.Faults[1])
}

func TestRunThatHasNotBegunHolds(t *testing.T) {
	t.Parallel()
	store := storagetest.Open(t)
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	run, err := store.CreateRun(t.Context(), storage.NewRun{Name: "young", Config: json.RawMessage(`{}`)})
	require.NoError(t, err)
	report, err := verify.Run(t.Context(), verify.Input{Store: store, Blobs: blobs, Run: run.ID})
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.Equal(t, -1, report.Version)
	_, err = verify.Run(t.Context(), verify.Input{Store: store, Blobs: blobs, Run: storage.RunIDOf("nobody")})
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestWhatRetentionTookIsNotMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alone := func(storage.Run) (storage.Reads, error) { return storage.Reads{}, nil }
	lost, err := w.store.Expire(t.Context(), storage.Retention{Weights: 1, Optimisers: 1, Iterations: 2}, alone, false)
	require.NoError(t, err)
	require.Len(t, lost, 1)
	require.Equal(t, []int{0}, lost[0].Iterations)
	swept, err := w.store.Sweep(t.Context(), w.blobs, time.Now().Add(time.Hour), false)
	require.NoError(t, err)
	require.NotEmpty(t, swept.Deleted)
	report := w.verify()
	require.Empty(t, report.Faults)
	require.Contains(t, report.Checked, verify.Checked{What: "iterations without trajectories, by retention", Number: 1})
}
