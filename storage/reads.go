package storage

import "github.com/hone-rl/hone"

// Reads is what a run reads to go on, beside its head and the iteration under way: what retention must leave.
type Reads struct {
	// Back is how many finished iterations before the one under way, and how many versions before the head, its updates and rollouts read,
	// >= 0. Before a fork they are the parent's.
	Back int
	// Loan is what it takes from another run.
	Loan Loan
}

// Loan is what a run's first cycles take from another run instead of sampling: iteration From+i in cycle i, up to To. The zero value is
// none.
type Loan struct {
	// Run is the lender's name; "" is none.
	Run string
	// From and To are the first and the last iteration, 0 <= From <= To.
	From, To int
	// Version is the lender's version that version 0 is made from; -1 is none.
	Version int
}

// Reader tells what a run reads.
type Reader func(Run) (Reads, error)

// holding is what others read of a run: versions whole, or their weights alone, and iterations.
type holding struct{ versions, weights, iterations map[int]bool }

// readByOthers are what runs read of each other from where they are. A run's head only grows, so that none comes to read more.
func readByOthers(runs []Progress, reads map[hone.RunID]Reads) map[hone.RunID]holding {
	byID := make(map[hone.RunID]*Progress, len(runs))
	held := make(map[hone.RunID]holding, len(runs))
	for i := range runs {
		byID[runs[i].ID] = &runs[i]
		held[runs[i].ID] = holding{make(map[int]bool), make(map[int]bool), make(map[int]bool)}
	}
	for i := range runs {
		p, r := &runs[i], reads[runs[i].ID]
		for iteration := max(0, p.Version-r.Back); iteration < p.FirstCycle; iteration++ {
			owner := p
			for owner != nil && iteration < owner.FirstCycle {
				owner = byID[owner.Parent]
			}
			if owner != nil {
				held[owner.ID].iterations[iteration] = true
			}
		}
		lender, ok := held[RunIDOf(r.Loan.Run)]
		if r.Loan.Run == "" || !ok {
			continue
		}
		if p.Version < 0 && r.Loan.Version >= 0 {
			lender.versions[r.Loan.Version] = true
		}
		// Divergence is measured from the lender's reference, or from its lender's.
		for loan := r.Loan; loan.Run != "" && loan.Version >= 0; loan = reads[RunIDOf(loan.Run)].Loan {
			if from, ok := held[RunIDOf(loan.Run)]; ok {
				from.weights[0] = true
			}
		}
		for iteration := r.Loan.From + max(0, p.Version); iteration <= r.Loan.To; iteration++ {
			lender.iterations[iteration] = true
		}
	}
	return held
}
