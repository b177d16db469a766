package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone"
)

// schedulePrefix begins the ids of hone's schedules.
const schedulePrefix = "hone-schedule-"

// Overlap is what happens when a schedule is due while its last firing is at work.
type Overlap string

// The policies of overlap.
const (
	// OverlapSkip leaves the firing out; it is the default.
	OverlapSkip Overlap = "skip"
	// OverlapBuffer starts one as soon as the last has ended, OverlapBufferAll each of those that were due.
	OverlapBuffer    Overlap = "buffer_one"
	OverlapBufferAll Overlap = "buffer_all"
	// OverlapCancel cancels the last one first, and OverlapAllow lets both run.
	OverlapCancel Overlap = "cancel_other"
	OverlapAllow  Overlap = "allow_all"
)

// Overlaps are all of them.
func Overlaps() []Overlap {
	return []Overlap{OverlapSkip, OverlapBuffer, OverlapBufferAll, OverlapCancel, OverlapAllow}
}

func (o Overlap) policy() (enumspb.ScheduleOverlapPolicy, error) {
	switch o {
	case OverlapSkip:
		return enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, nil
	case OverlapBuffer:
		return enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, nil
	case OverlapBufferAll:
		return enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL, nil
	case OverlapCancel:
		return enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER, nil
	case OverlapAllow:
		return enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, nil
	default:
		return 0, fmt.Errorf("overlap %q: want one of %q: %w", o, Overlaps(), hone.ErrInvalid)
	}
}

// ScheduleInput describes a schedule, which has the name of the service that it trains.
type ScheduleInput struct {
	Tune TuneInput
	// Crons are times such as "0 3 * * *", in Timezone, a name such as "Europe/Berlin", or UTC if that is "". Every is an interval,
	// counted from 1970-01-01T00:00Z, >= 10 s; 0 is none. One of both is given.
	Crons    []string
	Timezone string
	Every    time.Duration
	Overlap  Overlap
	// CatchUp is how late a firing may be that was due while the server was away, >= 10 s; later ones are left out.
	CatchUp time.Duration
	// Paused schedules fire by hand alone.
	Paused bool
}

// DefaultCatchUp lets a nightly firing take place in the morning, and not on the next evening.
const DefaultCatchUp = 12 * time.Hour

// Validate joins all faults of the input; every one wraps [hone.ErrInvalid].
func (in ScheduleInput) Validate() error {
	_, err := in.Overlap.policy()
	faults := []error{in.Tune.Validate(), err}
	if (len(in.Crons) == 0) == (in.Every == 0) {
		faults = append(faults, fmt.Errorf("times %q, interval %v: want one of both: %w", in.Crons, in.Every, hone.ErrInvalid))
	}
	if in.Every != 0 && in.Every < 10*time.Second {
		faults = append(faults, fmt.Errorf("interval %v: want at least 10s: %w", in.Every, hone.ErrInvalid))
	}
	if in.CatchUp < 10*time.Second {
		faults = append(faults, fmt.Errorf("catch-up %v: want at least 10s: %w", in.CatchUp, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// CreateSchedule makes a schedule that runs [TuneWorkflow]. One of that name is [hone.ErrConflict].
func CreateSchedule(ctx context.Context, c client.Client, in ScheduleInput) error {
	if err := in.Validate(); err != nil {
		return err
	}
	overlap, err := in.Overlap.policy()
	if err != nil {
		return err
	}
	in.Tune.Attributes = knowsAttributes(ctx, c)
	spec := client.ScheduleSpec{CronExpressions: in.Crons, TimeZoneName: in.Timezone}
	if in.Every > 0 {
		spec.Intervals = []client.ScheduleIntervalSpec{{Every: in.Every}}
	}
	_, err = c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: schedulePrefix + in.Tune.Service, Spec: spec, Overlap: overlap, CatchupWindow: in.CatchUp, Paused: in.Paused,
		Action: &client.ScheduleWorkflowAction{
			ID: tunePrefix + in.Tune.Service, Workflow: TuneWorkflow, Args: []any{in.Tune}, TaskQueue: QueueControl,
			StaticSummary: "train " + in.Tune.Service + " on what is new",
		},
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("there is a schedule %s already: %w", in.Tune.Service, hone.ErrConflict)
	}
	if refused, ok := errors.AsType[*serviceerror.InvalidArgument](err); ok { // such as a time that is none
		return fmt.Errorf("schedule %s: %s: %w", in.Tune.Service, refused.Message, hone.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("create schedule %s: %w", in.Tune.Service, translate(err))
	}
	return nil
}

// Schedule is a schedule as the server has it.
type Schedule struct {
	Name   string `json:"name"`
	Paused bool   `json:"paused"`
	// Note says why, where somebody paused it.
	Note string `json:"note,omitempty"`
	// Next are the coming firings, the soonest first, and Last the newest ones, the oldest first.
	Next []time.Time `json:"next"`
	Last []Firing    `json:"last"`
}

// Firing is one workflow that a schedule started.
type Firing struct {
	Due      time.Time `json:"due"`
	Started  time.Time `json:"started"`
	Workflow string    `json:"workflow"`
}

// Schedules are all of hone's, by name.
func Schedules(ctx context.Context, c client.Client) ([]Schedule, error) {
	entries, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", translate(err))
	}
	var out []Schedule
	for entries.HasNext() {
		e, err := entries.Next()
		if err != nil {
			return nil, fmt.Errorf("list schedules: %w", translate(err))
		}
		if name, ok := strings.CutPrefix(e.ID, schedulePrefix); ok {
			out = append(out, newSchedule(name, e.Paused, e.Note, e.NextActionTimes, e.RecentActions))
		}
	}
	slices.SortFunc(out, func(a, b Schedule) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func newSchedule(name string, paused bool, note string, next []time.Time, recent []client.ScheduleActionResult) Schedule {
	s := Schedule{Name: name, Paused: paused, Note: note, Next: next}
	for _, r := range recent {
		f := Firing{Due: r.ScheduleTime, Started: r.ActualTime}
		if r.StartWorkflowResult != nil {
			f.Workflow = r.StartWorkflowResult.WorkflowID
		}
		s.Last = append(s.Last, f)
	}
	return s
}

// ReadSchedule is one schedule, with what its firings do.
func ReadSchedule(ctx context.Context, c client.Client, name string) (Schedule, TuneInput, error) {
	d, err := c.ScheduleClient().GetHandle(ctx, schedulePrefix+name).Describe(ctx)
	if err != nil {
		return Schedule{}, TuneInput{}, fmt.Errorf("schedule %s: %w", name, translate(err))
	}
	var in TuneInput
	if action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction); ok && len(action.Args) == 1 {
		if payload, ok := action.Args[0].(*commonpb.Payload); ok {
			err = converter.GetDefaultDataConverter().FromPayload(payload, &in)
		}
	}
	if err != nil {
		return Schedule{}, in, fmt.Errorf("schedule %s is of another hone: %w: %w", name, err, hone.ErrInvalid)
	}
	paused, note := false, ""
	if d.Schedule.State != nil {
		paused, note = d.Schedule.State.Paused, d.Schedule.State.Note
	}
	return newSchedule(name, paused, note, d.Info.NextActionTimes, d.Info.RecentActions), in, nil
}

// PauseSchedule keeps a schedule from firing, and says why; UnpauseSchedule lets it fire again.
func PauseSchedule(ctx context.Context, c client.Client, name, why string) error {
	err := c.ScheduleClient().GetHandle(ctx, schedulePrefix+name).Pause(ctx, client.SchedulePauseOptions{Note: why})
	return scheduleError(err, "pause", name)
}

// UnpauseSchedule ends what [PauseSchedule] began.
func UnpauseSchedule(ctx context.Context, c client.Client, name string) error {
	err := c.ScheduleClient().GetHandle(ctx, schedulePrefix+name).Unpause(ctx, client.ScheduleUnpauseOptions{Note: "goes on"})
	return scheduleError(err, "unpause", name)
}

// TriggerSchedule fires a schedule now, also a paused one, under its own policy of overlap.
func TriggerSchedule(ctx context.Context, c client.Client, name string) error {
	err := c.ScheduleClient().GetHandle(ctx, schedulePrefix+name).Trigger(ctx, client.ScheduleTriggerOptions{})
	return scheduleError(err, "trigger", name)
}

// BackfillSchedule fires a schedule as often as it was due in (from, to], one after the other.
func BackfillSchedule(ctx context.Context, c client.Client, name string, from, to time.Time) error {
	if !from.Before(to) {
		return fmt.Errorf("backfill schedule %s from %v to %v: want the earlier time first: %w", name, from, to, hone.ErrInvalid)
	}
	err := c.ScheduleClient().GetHandle(ctx, schedulePrefix+name).Backfill(ctx, client.ScheduleBackfillOptions{
		Backfill: []client.ScheduleBackfill{{Start: from, End: to, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL}},
	})
	return scheduleError(err, "backfill", name)
}

// DeleteSchedule ends a schedule. What it has started goes on, and the service keeps its policies and its record.
func DeleteSchedule(ctx context.Context, c client.Client, name string) error {
	return scheduleError(c.ScheduleClient().GetHandle(ctx, schedulePrefix+name).Delete(ctx), "delete", name)
}

func scheduleError(err error, doing, name string) error {
	if err != nil {
		return fmt.Errorf("%s schedule %s: %w", doing, name, translate(err))
	}
	return nil
}
