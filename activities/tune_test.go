package activities_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/gate"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/hone-rl/hone/task/game24"
)

// serve makes the newest version of a run the first policy of a service.
func (w *world) serve(service string, run hone.RunID) {
	w.Helper()
	head, err := w.store.Head(w.Context(), run)
	require.NoError(w, err)
	_, err = w.store.SavePublication(w.Context(), storage.Publication{
		Service: service, Request: "first", State: storage.Published, Run: run, Version: head.Number, Details: json.RawMessage("{}"),
	}, 3)
	require.NoError(w, err)
}

// folder holds files of problems.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func survey(request, dir string) activities.SurveyInput {
	return activities.SurveyInput{
		Service: "nightly", Request: request, Source: activities.Source{Dir: dir}, Cycles: 2, Replay: 1, Least: 1, Keep: 3,
	}
}

// wide are puzzles of numbers that the tiny task has none of.
const wide = `{"problem": "24 24 24 24"}
{"problem": "1 1 12 24", "reference": "24"}

{"problem": "24 12 1 1"}
{"problem": "2 20 20 24"}
`

func TestSurveyFindsWhatIsNewAndConfiguresTheTraining(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	job.Game24.Wide = 0
	run := w.started("base", job)
	w.serve("nightly", run)
	a := w.process()
	puzzles, err := game24.New(job.Game24)
	require.NoError(t, err)
	held, err := puzzles.Problems(hone.SplitHeldOut)
	require.NoError(t, err)
	dir := folder(t, map[string]string{
		"b.jsonl": wide, "ignored.txt": "not looked at",
		"a.jsonl": `{"problem": "` + held[0].Key + `"}` + "\n" + `{"problem": "4 5 6 10"}` + "\n" +
			`{"puzzle": "1"}` + "\n" + `{"problem": "x"}` + "\nnonsense\n",
	})
	out, err := a.Survey(t.Context(), survey("one", dir))
	require.NoError(t, err)
	require.Empty(t, out.Skip)
	require.Equal(t, run, out.Parent)
	require.Zero(t, out.Version)
	found := out.Found
	require.Equal(t, 3, found.New, "each once, however its numbers are ordered")
	require.Equal(t, 1, found.Reserved)
	require.Equal(t, 1, found.Known)
	require.Equal(t, 3, found.Bad)
	require.Equal(t, `a.jsonl:3: no "problem"`, found.FirstBad)
	require.Equal(t, 3, found.Replayed)
	require.Equal(t, "numbers", found.Drift[0].Feature)
	require.Greater(t, found.Drift[0].KL, 0.5)
	again, err := w.process().Survey(t.Context(), survey("one", dir))
	require.NoError(t, err)
	require.Equal(t, out, again)

	fork, err := a.Fork(t.Context(), activities.ForkInput{
		Parent: out.Parent, Version: out.Version, Name: "night-1", Config: out.Config, Restart: true,
	})
	require.NoError(t, err)
	require.Zero(t, fork.Version)
	var trained activities.Job
	require.NoError(t, json.Unmarshal(out.Config, &trained))
	require.Equal(t, 2, trained.Cycles)
	require.NotEmpty(t, trained.Problems)
	w.prepare(w.process(), "night-1", trained)
	w.cycle(fork.Run, 0, 2, 1, w.process)
	stored, err := w.store.LoadIteration(t.Context(), fork.Run, 0)
	require.NoError(t, err)
	fresh := 0
	for _, trajectory := range stored {
		if strings.Contains(trajectory.Problem.Key, "24") {
			fresh++
		}
	}
	require.Positive(t, fresh, "the new problems are sampled")

	trained.Problems = strings.Repeat("0", 64)
	config, err := json.Marshal(trained)
	require.NoError(t, err)
	_, err = a.Fork(t.Context(), activities.ForkInput{Parent: out.Parent, Name: "lost", Config: config, Restart: true})
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestSurveySaysWhyNothingIsTrained(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	run := w.started("base", job)
	w.cycle(run, 0, 1, 1, w.process)
	w.serve("nightly", run)
	known := folder(t, map[string]string{"a.jsonl": `{"problem": "4 5 6 10"}`})
	fresh := folder(t, map[string]string{"a.jsonl": wide})
	for name, x := range map[string]struct {
		in   activities.SurveyInput
		says string
	}{
		"an empty folder":  {survey("", t.TempDir()), "nothing is new: 0 problems are known, 0 are kept for evaluation, 0 lines hold none"},
		"known problems":   {survey("", known), "nothing is new: 1 problems are known"},
		"its own problems": {survey("", ""), "nothing is new: "},
		"too few":          {survey("", fresh), "3 problems are new, and 50 are wanted"},
		"no drift":         {survey("", fresh), "the 3 new problems are like the old ones: no feature has drifted by more than"},
	} {
		in := x.in
		in.Request = name
		switch name {
		case "its own problems":
			in.Source = activities.Source{Run: "base"}
		case "too few":
			in.Least = 50
		case "no drift":
			in.MinDrift = 1000
		}
		out, err := w.process().Survey(t.Context(), in)
		require.NoError(t, err, name)
		require.Contains(t, out.Skip, x.says)
		require.Empty(t, out.Config)
	}
	record, err := w.store.Publications(t.Context(), "nightly")
	require.NoError(t, err)
	require.Len(t, record, 6)
	for _, p := range record[:5] {
		require.Equal(t, storage.Skipped, p.State)
		require.Contains(t, string(p.Details), `"known":`)
	}
	for name, source := range map[string]activities.Source{
		"none": {}, "two": {Dir: known, Run: "base"}, "three": {Dir: known, Table: &activities.Table{Name: "a", Column: "b"}},
	} {
		in := survey(name, "")
		in.Source = source
		_, err = w.process().Survey(t.Context(), in)
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
	_, err = w.process().Survey(t.Context(), survey("gone", filepath.Join(known, "gone")))
	require.ErrorContains(t, err, "folder of problems")
	other := survey("other", known)
	other.Service = "weekly"
	_, err = w.process().Survey(t.Context(), other)
	require.ErrorIs(t, err, hone.ErrNotFound)
}

// A table is read like a folder: what is new is sifted, its drift measured, and what holds no problem counted; from the record's database,
// or from one that the worker's environment names.
func TestSurveyOfATable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	address := storagetest.URL(t)
	w.store = storagetest.OpenURL(t, address)
	elsewhere := storagetest.Empty(t)
	fill := func(address, table string, rows ...any) {
		conn, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		defer conn.Close(t.Context())
		_, err = conn.Exec(t.Context(), "CREATE TABLE "+table+" (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, question text)")
		require.NoError(t, err)
		for _, row := range rows {
			_, err := conn.Exec(t.Context(), "INSERT INTO "+table+" (question) VALUES ($1)", row)
			require.NoError(t, err)
		}
	}
	fill(address, "new_problems", "24 24 24 24", "1 1 12 24", "24 12 1 1", nil, "4 5 6 10", "x")
	fill(elsewhere, "new_problems", "2 20 20 24")
	run := w.started("base", tiny())
	w.serve("nightly", run)
	in := survey("here", "")
	in.Source.Table = &activities.Table{Name: "public.new_problems", Column: "question"}
	out, err := w.process().Survey(t.Context(), in)
	require.NoError(t, err)
	require.Empty(t, out.Skip)
	require.Equal(t, 2, out.Found.New, "each once, however its numbers are ordered")
	require.Equal(t, 1, out.Found.Known)
	require.Equal(t, 2, out.Found.Bad)
	require.Equal(t, "table public.new_problems: a row without question", out.Found.FirstBad)
	require.Equal(t, "numbers", out.Found.Drift[0].Feature)
	require.Positive(t, out.Found.Drift[0].KL)
	again, err := w.process().Survey(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, out, again)

	in.Request, in.Source.Table.AddressFrom = "there", "PROBLEMS_URL"
	_, err = w.process().Survey(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "this worker has no PROBLEMS_URL in its environment")
	knows := activities.New(activities.Deps{
		Store: w.store, Blobs: w.blobs, Kernels: w.set, Commit: "test",
		Environment: func(name string) string { return map[string]string{"PROBLEMS_URL": elsewhere}[name] },
	})
	out, err = knows.Survey(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 1, out.Found.New)
	for says, change := range map[string]func(*activities.Table){
		`relation "public.old_problems" does not exist`: func(t *activities.Table) { t.Name = "public.old_problems" },
		`column "answer" does not exist`:                func(t *activities.Table) { t.Column = "answer" },
		"want a column, and a table":                    func(t *activities.Table) { t.Column = "" },
	} {
		other := *in.Source.Table
		other.AddressFrom = ""
		change(&other)
		in.Source.Table = &other
		_, err = w.process().Survey(t.Context(), in)
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, says)
		in.Source.Table = &activities.Table{Name: "public.new_problems", Column: "question"}
	}
}

// graded stores answers of a version, right where the letter is an r.
func (w *world) graded(run hone.RunID, version int, letters string) {
	w.Helper()
	answers := make([]storage.Answer, len(letters))
	for i, letter := range letters {
		answers[i] = storage.Answer{Problem: hone.Problem{Task: "game24", Key: string(rune('a' + i))}, Outcome: hone.OutcomeWrong}
		if letter == 'r' {
			answers[i].Outcome = hone.OutcomeRight
		}
	}
	require.NoError(w, w.store.SaveEvaluation(w.Context(), storage.EvaluationKey{
		Run: run, Version: version, Split: hone.SplitHeldOut, Mode: string(activities.ModeGreedy),
	}, answers))
}

func TestJudgePublishesWhatIsBetterBeyondNoise(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		old, now  string
		published bool
		says      string
	}{
		"better":      {"wwwwwwwwrr", "rrrrrrwwrr", true, "of 10 problems it alone has 6 right, and the one in service alone 0: p = 0.0156"},
		"by chance":   {"wwwwwwwwrr", "rrrrwwwwrr", false, "it alone has 4 right, and the one in service alone 0: p = 0.0625, want at most 0.05"},
		"as good":     {"wwwwwwwwrr", "wwwwwwwwrr", false, "p = 1.0000, want at most 0.05"},
		"worse":       {"rrrrrrwwrr", "wwwwwwwwrr", false, "it alone has 0 right, and the one in service alone 6: p = 1.0000"},
		"too late":    {"wwwwwwwwrr", "rrrrrrwwrr", false, "another policy was published meanwhile"},
		"in part new": {"rwwwwwwwww", "wrrrrrrrrw", true, "it alone has 8 right, and the one in service alone 1: p = 0.0195"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			base := w.started("base", tiny())
			w.serve("nightly", base)
			fork, err := w.process().Fork(t.Context(), activities.ForkInput{Parent: base, Name: "night", Restart: true})
			require.NoError(t, err)
			w.cycle(fork.Run, 0, 1, 1, w.process)
			w.graded(fork.Run, 0, x.old)
			w.graded(fork.Run, 1, x.now)
			if name == "too late" {
				other, err := w.process().Fork(t.Context(), activities.ForkInput{Parent: base, Name: "other", Restart: true})
				require.NoError(t, err)
				_, err = w.store.SavePublication(t.Context(), storage.Publication{
					Service: "nightly", Request: "other", State: storage.Published, Run: other.Run, Details: json.RawMessage("{}"),
				}, 3)
				require.NoError(t, err)
			}
			in := activities.JudgeInput{
				Service: "nightly", Request: "one", Run: fork.Run, Version: 1, Survey: activities.SurveyOutput{Parent: base},
				Split: hone.SplitHeldOut, Mode: activities.ModeGreedy, Alpha: 0.05, Keep: 3,
			}
			for range 2 {
				out, err := w.process().Judge(t.Context(), in)
				require.NoError(t, err)
				require.Equal(t, x.published, out.Published)
				require.Contains(t, out.Reason, x.says)
			}
			use, err := w.store.InService(t.Context(), "nightly")
			require.NoError(t, err)
			require.Equal(t, x.published, use.Run == fork.Run)
			record, err := w.store.Publications(t.Context(), "nightly")
			require.NoError(t, err)
			var details struct {
				gate.Pairs

				P *float64 `json:"p"`
			}
			require.NoError(t, json.Unmarshal(record[0].Details, &details))
			require.Equal(t, 10, details.Problems())
			require.NotNil(t, details.P)
			in.Alpha = 1
			_, err = w.process().Judge(t.Context(), in)
			require.ErrorIs(t, err, hone.ErrInvalid)
		})
	}
}
