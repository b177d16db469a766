package replay

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// largest is how many of the largest changes a report shows.
const largest = 20

// Report says what a reward changes. Before is the live scoring, or the first of two stacks.
type Report struct {
	Trajectories int `json:"trajectories"`
	// Changed counts those whose total, layers or outcome are not the same bits.
	Changed int `json:"changed"`
	// Outcomes counts those whose outcome changed.
	Outcomes int           `json:"outcomes_changed"`
	Layers   []LayerChange `json:"layers"`
	Before   Distribution  `json:"before"`
	After    Distribution  `json:"after"`
	// Groups are problems with two samples or more. Of these, SignFlips counts samples whose total less the mean of their group changed its
	// sign, RankFlips those whose rank among their group changed.
	Groups    int `json:"groups"`
	SignFlips int `json:"sign_flips"`
	RankFlips int `json:"rank_flips"`
	// RankCorrelation is the mean of Kendall's tau-b over the Ranked groups in which neither side is all ties.
	RankCorrelation float64 `json:"rank_correlation"`
	Ranked          int     `json:"ranked"`
	// Totals tests the difference of a group's mean total; Agreement that of the rank correlation between total and truth (right or not),
	// of groups with both.
	Totals    Test `json:"totals"`
	Agreement Test `json:"agreement"`
	// AgreesBefore and AgreesAfter are those correlations' means.
	AgreesBefore float64 `json:"agrees_before"`
	AgreesAfter  float64 `json:"agrees_after"`
	// Kept are layers that were not judged again.
	Kept []string `json:"kept,omitempty"`
	// Largest are the largest changes of the total, the largest first.
	Largest []Change `json:"largest"`
}

// LayerChange is a layer's mean weighted total per trajectory.
type LayerChange struct {
	Layer   string  `json:"layer"`
	Before  float64 `json:"before"`
	After   float64 `json:"after"`
	Changed int     `json:"changed"`
	// InBefore and InAfter tell in which of the two stacks the layer is.
	InBefore bool `json:"in_before"`
	InAfter  bool `json:"in_after"`
}

// Distribution is how totals are spread.
type Distribution struct {
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"deviation"`
	// Buckets are Width wide and in order; those without totals are left out.
	Buckets []Bucket `json:"buckets"`
}

// Width is a bucket's.
const Width = 0.1

// Bucket counts the totals from Low to Low + Width.
type Bucket struct {
	Low   float64 `json:"low"`
	Count int     `json:"count"`
}

// Row is one trajectory under the two rewards.
type Row struct {
	ID      hone.TrajectoryID `json:"id"`
	Problem string            `json:"problem"`
	Tokens  int               `json:"tokens"`
	Before  Side              `json:"before"`
	After   Side              `json:"after"`
}

// Change is a row with all that the layers said.
type Change struct {
	Row
	Steps           []string        `json:"steps"`
	BeforeBreakdown *hone.Breakdown `json:"before_breakdown,omitempty"`
	AfterBreakdown  *hone.Breakdown `json:"after_breakdown,omitempty"`
}

// fold adds iterations to a report, in order.
type fold struct {
	in      Input
	out     Report
	layers  map[string]*LayerChange
	names   []string
	sums    [2]moments
	buckets [2]map[int]int

	totals, agreement                    differences
	correlation, agreeBefore, agreeAfter moments
	// largest are the largest changes so far, some smaller ones, and none of at most floor.
	largest []pair
	floor   float64
}

func newFold(in Input) *fold {
	return &fold{in: in, layers: make(map[string]*LayerChange), buckets: [2]map[int]int{make(map[int]int), make(map[int]int)}}
}

func (f *fold) iteration(pairs []pair) error {
	for i := range pairs {
		f.one(&pairs[i])
		if f.in.Row != nil {
			if err := f.in.Row(pairs[i].row()); err != nil {
				return err
			}
		}
	}
	for lo := 0; lo < len(pairs); {
		hi := lo + 1
		for hi < len(pairs) && f.in.slot(pairs[hi].Judged) == f.in.slot(pairs[lo].Judged) {
			hi++
		}
		f.group(pairs[lo:hi])
		lo = hi
	}
	return nil
}

// change is by how much the total changed, >= 0.
func (p *pair) change() float64 { return math.Abs(p.after.Total - p.before.Total) }

func (p *pair) row() Row {
	t := p.Trajectory
	return Row{ID: t.ID, Problem: t.Problem.Key, Tokens: len(t.Tokens), Before: p.before, After: p.after}
}

// one adds a trajectory.
func (f *fold) one(p *pair) {
	f.out.Trajectories++
	changed := p.before.Total != p.after.Total || p.before.Outcome != p.after.Outcome || !slices.Equal(p.before.Layers, p.after.Layers)
	if changed {
		f.out.Changed++
	}
	if p.before.Outcome != p.after.Outcome {
		f.out.Outcomes++
	}
	for i, s := range []*Side{&p.before, &p.after} {
		f.sums[i].add(s.Total)
		f.buckets[i][int(math.Floor(s.Total/Width+1e-9))]++
		for _, l := range s.Layers {
			c := f.layer(l.Layer)
			if i == 0 {
				c.Before, c.InBefore = c.Before+l.Total, true
			} else {
				c.After, c.InAfter = c.After+l.Total, true
			}
		}
	}
	for i, l := range p.after.Layers {
		same := i < len(p.before.Layers) && p.before.Layers[i] == l
		if !same && !slices.Contains(p.before.Layers, l) {
			f.layer(l.Layer).Changed++
		}
	}
	if p.change() > f.floor {
		f.largest = append(f.largest, *p)
		if len(f.largest) >= 4*largest {
			f.cut()
		}
	}
}

func (f *fold) layer(name string) *LayerChange {
	c, ok := f.layers[name]
	if !ok {
		c = &LayerChange{Layer: name}
		f.layers[name] = c
		f.names = append(f.names, name)
	}
	return c
}

// cut keeps the largest changes; of equal ones the earlier.
func (f *fold) cut() {
	slices.SortStableFunc(f.largest, func(a, b pair) int {
		return cmp.Compare(b.change(), a.change())
	})
	f.largest = slices.Clone(f.largest[:min(largest, len(f.largest))])
	if len(f.largest) == largest {
		f.floor = f.largest[largest-1].change()
	}
}

// group adds the samples of one problem.
func (f *fold) group(pairs []pair) {
	before, after, truth := make([]float64, len(pairs)), make([]float64, len(pairs)), make([]float64, len(pairs))
	for i, p := range pairs {
		before[i], after[i] = p.before.Total, p.after.Total
		if p.after.Outcome == hone.OutcomeRight {
			truth[i] = 1
		}
	}
	f.totals.add(mean(after) - mean(before))
	if len(pairs) < 2 {
		return
	}
	f.out.Groups++
	meanBefore, meanAfter := mean(before), mean(after)
	for i := range pairs {
		const rounding = 1e-12 // of the mean, where all are equal
		a, b := before[i]-meanBefore, after[i]-meanAfter
		if a*b < 0 && math.Abs(a) > rounding && math.Abs(b) > rounding {
			f.out.SignFlips++
		}
		if rank(before, i) != rank(after, i) {
			f.out.RankFlips++
		}
	}
	if t, ok := tau(before, after); ok {
		f.correlation.add(t)
	}
	a, okA := tau(before, truth)
	b, okB := tau(after, truth)
	if okA && okB {
		f.agreement.add(b - a)
		f.agreeBefore.add(a)
		f.agreeAfter.add(b)
	}
}

func (f *fold) report(ctx context.Context) (Report, error) {
	r := f.out
	for _, name := range f.names {
		c := *f.layers[name]
		c.Before /= float64(r.Trajectories)
		c.After /= float64(r.Trajectories)
		r.Layers = append(r.Layers, c)
	}
	r.Before, r.After = f.distribution(0), f.distribution(1)
	r.RankCorrelation, r.Ranked = f.correlation.mean, f.correlation.n
	r.Totals, r.Agreement = f.totals.test(), f.agreement.test()
	r.AgreesBefore, r.AgreesAfter = f.agreeBefore.mean, f.agreeAfter.mean
	r.Kept = kept(f.in.Stack, f.in.Keep)
	if f.in.Against != nil {
		r.Kept = kept(f.in.Against, r.Kept)
	}
	f.cut()
	for _, p := range f.largest {
		c := Change{Row: p.row(), BeforeBreakdown: p.before.breakdown, AfterBreakdown: p.after.breakdown}
		for _, s := range p.Trajectory.Steps {
			c.Steps = append(c.Steps, s.Text)
		}
		if c.BeforeBreakdown == nil {
			live, err := f.in.Store.LoadBreakdown(ctx, p.Trajectory.ID, storage.LiveScoring)
			if err != nil {
				return r, err
			}
			c.BeforeBreakdown = &live
		}
		r.Largest = append(r.Largest, c)
	}
	return r, nil
}

func (f *fold) distribution(side int) Distribution {
	d := Distribution{Mean: f.sums[side].mean, Deviation: f.sums[side].deviation()}
	var lows []int
	for low := range f.buckets[side] {
		lows = append(lows, low)
	}
	slices.Sort(lows)
	for _, low := range lows {
		d.Buckets = append(d.Buckets, Bucket{Low: float64(low) * Width, Count: f.buckets[side][low]})
	}
	return d
}
