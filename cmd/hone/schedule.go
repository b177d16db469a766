package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

func (a *app) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Train a policy on what is new, by the clock, and publish what is better",
		Long: `A schedule trains the policy that a service uses on what is new, every night or week. Each firing looks for new problems, says why
it skips where there are none, trains a fork of the policy in service, compares both on the same problems, and publishes the trained one if
it is better beyond noise; else it is rolled back and the service keeps what it has. hone schedule show has the record.

Schedules live in Temporal, so there must be one that stays: hone server, or yours; and hone worker does the work.`,
	}
	cmd.AddCommand(a.scheduleCreateCommand(), a.scheduleListCommand(), a.scheduleShowCommand(),
		a.scheduleDoCommand("unpause NAME", "Let a paused schedule fire again", workflows.UnpauseSchedule),
		a.scheduleDoCommand("trigger NAME", "Fire a schedule now", workflows.TriggerSchedule),
		a.scheduleDoCommand("delete NAME", "End a schedule; the service keeps its policies and its record", workflows.DeleteSchedule),
		a.schedulePauseCommand(), a.scheduleBackfillCommand(), a.scheduleWithdrawCommand())
	return cmd
}

// scheduling gives f the Temporal in which schedules are.
func (a *app) scheduling(ctx context.Context, to access, f func(context.Context, client.Client, *storage.Store) error) error {
	return a.look(ctx, to, func(ctx context.Context, s *servers, store *storage.Store) error {
		if s.temporalAddress == "" {
			return fmt.Errorf("no Temporal is running on %s; start one that stays with %s, and a worker with %s, or give --temporal-address: %w",
				s.data.path, a.propose("server"), a.propose("worker"), hone.ErrUnavailable)
		}
		c, err := s.dial(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		return f(ctx, c, store)
	})
}

func (a *app) scheduleDoCommand(use, short string, do func(context.Context, client.Client, string) error) *cobra.Command {
	verb, _, _ := strings.Cut(use, " ")
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scheduleDo(cmd.Context(), verb, args[0], func(ctx context.Context, c client.Client) error { return do(ctx, c, args[0]) })
		},
	}
}

// scheduleDo does something to a schedule and says so.
func (a *app) scheduleDo(ctx context.Context, verb, name string, do func(context.Context, client.Client) error) error {
	return a.scheduling(ctx, accessRead, func(ctx context.Context, c client.Client, _ *storage.Store) error {
		err := do(ctx, c)
		if errors.Is(err, hone.ErrNotFound) {
			return fmt.Errorf("there is no schedule %s; %s lists those there are: %w", name, a.propose("schedule", "list"), hone.ErrNotFound)
		}
		if err != nil {
			return err
		}
		done := map[string]string{
			"unpause": "fires again", "trigger": "fires now", "delete": "is deleted", "pause": "is paused", "backfill": "catches up",
		}[verb]
		if a.json {
			return a.writeJSON(map[string]string{"schedule": name, "state": done})
		}
		fmt.Fprintf(a.stdout, "schedule %s %s\n", name, done)
		return nil
	})
}

func (a *app) schedulePauseCommand() *cobra.Command {
	why := ""
	cmd := &cobra.Command{
		Use: "pause NAME", Short: "Keep a schedule from firing", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scheduleDo(cmd.Context(), "pause", args[0], func(ctx context.Context, c client.Client) error {
				return workflows.PauseSchedule(ctx, c, args[0], why)
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "paused by hand", "a note for whoever looks at it")
	return cmd
}

func (a *app) scheduleBackfillCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "backfill NAME --from TIME [--to TIME]", Short: "Fire a schedule as often as it was due in a time that has passed",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			begin, err := readTime("--from", from)
			if err != nil {
				return err
			}
			end := time.Now()
			if to != "" {
				if end, err = readTime("--to", to); err != nil {
					return err
				}
			}
			return a.scheduleDo(cmd.Context(), "backfill", args[0], func(ctx context.Context, c client.Client) error {
				return workflows.BackfillSchedule(ctx, c, args[0], begin, end)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "2026-07-01 or 2026-07-01T03:00:00Z (required)")
	cmd.Flags().StringVar(&to, "to", "", "the same; default now")
	return cmd
}

func readTime(flag, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q: want a time such as 2026-07-01 or 2026-07-01T03:00:00Z: %w", flag, text, hone.ErrInvalid)
}

func (a *app) scheduleWithdrawCommand() *cobra.Command {
	why, attempt := "", -1
	cmd := &cobra.Command{
		Use: "withdraw NAME --attempt N", Short: "Take the policy in service out of it; the one published before is used again",
		Long: `withdraw takes the policy in service out of it, which is named by its attempt, and the one published before is used again. Since
the attempt is named, the command can be repeated where its answer was lost.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessWrite, func(ctx context.Context, _ *servers, store *storage.Store) error {
				if attempt < 0 {
					used, err := store.InService(ctx, args[0])
					if err != nil {
						return err
					}
					return fmt.Errorf("--attempt says which policy to withdraw; service %s uses that of attempt %d: %w",
						args[0], used.Number, hone.ErrInvalid)
				}
				now, err := store.Withdraw(ctx, args[0], attempt, why)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(now)
				}
				run, err := store.Run(ctx, now.Run)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "service %s uses version %d of run %s again (attempt %d)\n", args[0], now.Version, run.Name, now.Number)
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&attempt, "attempt", -1, "the attempt whose policy is in service, as hone schedule show numbers it (required)")
	cmd.Flags().StringVar(&why, "why", "withdrawn by hand", "the reason, for the record")
	return cmd
}

// scheduleView is a schedule with the service's record.
type scheduleView struct {
	workflows.Schedule

	Tune   *workflows.TuneInput  `json:"tune,omitempty"`
	Record []storage.Publication `json:"record"`
}

func (a *app) scheduleListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all schedules", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.scheduling(cmd.Context(), accessRead, func(ctx context.Context, c client.Client, store *storage.Store) error {
				all, err := workflows.Schedules(ctx, c)
				if err != nil {
					return err
				}
				views := []scheduleView{}
				for _, s := range all {
					v := scheduleView{Schedule: s}
					if v.Record, err = store.Publications(ctx, s.Name); err != nil {
						return err
					}
					views = append(views, v)
				}
				if a.json {
					return a.writeJSON(views)
				}
				return a.listSchedules(ctx, store, views)
			})
		},
	}
}

func (a *app) listSchedules(ctx context.Context, store *storage.Store, views []scheduleView) error {
	if len(views) == 0 {
		fmt.Fprintln(a.stdout, "no schedules yet; hone schedule create makes one")
		return nil
	}
	rows := [][]string{{"schedule", "state", "next", "in service", "last attempt"}}
	for _, v := range views {
		row := []string{v.Name, "on", "-", "-", "-"}
		if v.Paused {
			row[1] = "paused"
		} else if len(v.Next) > 0 {
			row[2] = v.Next[0].Local().Format("2006-01-02 15:04")
		}
		for _, p := range v.Record {
			if p.State == storage.Published {
				run, err := store.Run(ctx, p.Run)
				if err != nil {
					return err
				}
				row[3] = fmt.Sprintf("%s, version %d", run.Name, p.Version)
				break
			}
		}
		if len(v.Record) > 0 {
			row[4] = fmt.Sprintf("%s %s", v.Record[0].Created.Local().Format("2006-01-02 15:04"), v.Record[0].State)
		}
		rows = append(rows, row)
	}
	writeTable(a.stdout, rows)
	return nil
}

func (a *app) scheduleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a schedule, what its service uses, and every attempt with its reason", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scheduling(cmd.Context(), accessRead, func(ctx context.Context, c client.Client, store *storage.Store) error {
				s, in, err := workflows.ReadSchedule(ctx, c, args[0])
				if err != nil {
					return err
				}
				v := scheduleView{Schedule: s, Tune: &in}
				if v.Record, err = store.Publications(ctx, args[0]); err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(v)
				}
				return a.showSchedule(ctx, store, v)
			})
		},
	}
}

func (a *app) showSchedule(ctx context.Context, store *storage.Store, v scheduleView) error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	state := "on"
	if v.Paused {
		state = "paused: " + v.Note
	}
	line("schedule", "%s, %s", v.Name, state)
	from := "files *.jsonl in " + v.Tune.Source.Dir
	if v.Tune.Source.Run != "" {
		from = "what run " + v.Tune.Source.Run + " has sampled"
	}
	if t := v.Tune.Source.Table; t != nil {
		from = fmt.Sprintf("column %s of table %s", t.Column, t.Name)
		if t.AddressFrom != "" {
			from += " in the database of $" + t.AddressFrom
		}
	}
	line("problems", "%s; at least %d new ones, drifted by at least %g nats", from, v.Tune.Least, v.Tune.MinDrift)
	line("training", "%d cycles, with %g old problems beside each new one", v.Tune.Cycles, v.Tune.Replay)
	for _, s := range v.Tune.Set {
		line("", "%s=%s", s.Key, s.Value)
	}
	limit := "all"
	if v.Tune.Measure.Limit > 0 {
		limit = fmt.Sprint(v.Tune.Measure.Limit)
	}
	line("gate", "%s, %s, %s problems: published with p at most %g, %d are kept",
		v.Tune.Measure.Split, v.Tune.Measure.Mode, limit, v.Tune.Alpha, v.Tune.Keep)
	for i, next := range v.Next {
		if i == 3 || v.Paused {
			break
		}
		line(map[bool]string{true: "next"}[i == 0], "%s", next.Local().Format(time.DateTime))
	}
	if len(v.Record) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	rows := [][]string{{"attempt", "when", "state", "run", "version", "drift"}}
	for _, p := range v.Record {
		row := []string{fmt.Sprint(p.Number), p.Created.Local().Format("2006-01-02 15:04"), string(p.State), "-", "-", driftOf(p)}
		if p.Run != "" {
			run, err := store.Run(ctx, p.Run)
			if err != nil {
				return err
			}
			row[3], row[4] = run.Name, fmt.Sprint(p.Version)
		}
		rows = append(rows, row)
	}
	writeTable(a.stdout, rows)
	for _, p := range v.Record {
		fmt.Fprintf(a.stdout, "%d: %s\n", p.Number, p.Reason)
	}
	return nil
}

// driftOf is the largest drift that an attempt found, with what drifted.
func driftOf(p storage.Publication) string {
	var details struct {
		Drift []struct {
			Feature string  `json:"feature"`
			KL      float64 `json:"kl"`
		} `json:"drift"`
	}
	if json.Unmarshal(p.Details, &details) != nil || len(details.Drift) == 0 {
		return "-"
	}
	most := details.Drift[0]
	for _, d := range details.Drift {
		if d.KL > most.KL {
			most = d
		}
	}
	return fmt.Sprintf("%.3f (%s)", most.KL, most.Feature)
}
