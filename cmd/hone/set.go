package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

func (a *app) setCommand() *cobra.Command {
	yao := ""
	cmd := &cobra.Command{
		Use:   "set RUN [PATH=VALUE...]",
		Short: "Change settings of a run from its next cycle on, or list what was changed",
		Long: `set makes settings others from the first cycle on that has not begun. What changed, from what, to what and from which cycle is
recorded: the run is a function of that too, and ends in the same bytes however often it is killed.

These can change: ` + strings.Join(activities.Changeable(), ", ") + `.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to := accessWrite
			if len(args) == 1 {
				to = accessRead
			}
			return a.look(cmd.Context(), to, func(ctx context.Context, s *servers, store *storage.Store) error {
				l, err := a.load(ctx, s, store, args[0], yao)
				if err != nil {
					return err
				}
				defer l.unwatch()
				if len(args) == 1 {
					return a.listChanges(ctx, l)
				}
				return a.set(ctx, s, l, args[1:])
			})
		},
	}
	cmd.Flags().StringVar(&yao, "yao", "", "24.csv of Yao et al. 2023 (default $HONE_SHARED/data/game24/24.csv)")
	return cmd
}

func (a *app) set(ctx context.Context, s *servers, l *loaded, assignments []string) error {
	now, _, err := activities.NewInspector(l.activities).Settings(ctx, l.run.ID, -1)
	if err != nil {
		return err
	}
	settings, err := readSettings(now, assignments)
	if err != nil {
		return err
	}
	out, err := asked(ctx, s, l.run.Name, func(ctx context.Context, c client.Client, run string) (activities.ChangeOutput, error) {
		return workflows.Change(ctx, c, run, settings)
	})
	if errors.Is(err, errNobody) {
		out, err = l.activities.Change(ctx, activities.ChangeInput{Run: l.run.ID, Request: "command/" + uuid.NewString(), Set: settings})
		err = withoutEnvelope(err)
	}
	if err != nil {
		return err
	}
	return a.showChanges(out.Changes)
}

// readSettings are the assignments of a command line, each checked against the type of its field.
func readSettings(now activities.Job, assignments []string) ([]activities.Setting, error) {
	var faults []error
	var out []activities.Setting
	for _, assignment := range assignments {
		l, err := setLayer(assignment)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		c := config{Job: now}
		if err := l.over(&c); err != nil {
			faults = append(faults, err)
			continue
		}
		key, _, _ := strings.Cut(assignment, "=")
		value, err := c.at(key)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		out = append(out, activities.Setting{Key: key, Value: value})
	}
	return out, errors.Join(faults...)
}

// at is the value of a field, JSON.
func (c config) at(path string) (json.RawMessage, error) {
	text, err := yaml.Marshal(c) // which, other than JSON, leaves no field out
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	for name := range strings.SplitSeq(path, ".") {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil || fields[name] == nil {
			return nil, fmt.Errorf("%s is no field of the configuration: %w", path, hone.ErrInvalid)
		}
		raw = fields[name]
	}
	return raw, nil
}

func (a *app) listChanges(ctx context.Context, l *loaded) error {
	_, stored, err := activities.NewInspector(l.activities).Settings(ctx, l.run.ID, -1)
	if err != nil {
		return err
	}
	changes := make([]activities.Changed, len(stored))
	for i, c := range stored {
		changes[i] = activities.Changed{Key: c.Key, Old: c.Old, New: c.New, Iteration: c.Iteration}
	}
	if len(changes) == 0 && !a.json {
		fmt.Fprintf(a.stdout, "nothing was changed of run %s; what can be: %s\n", l.run.Name, strings.Join(activities.Changeable(), ", "))
		return nil
	}
	return a.showChanges(changes)
}

func (a *app) showChanges(changes []activities.Changed) error {
	if a.json {
		return a.writeJSON(changes)
	}
	for _, c := range changes {
		fmt.Fprintln(a.stdout, c)
	}
	return nil
}
