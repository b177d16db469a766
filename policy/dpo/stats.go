package dpo

// Stats is what an update says of itself. The names are those of doc/metrics.md. Means are over the pairs of the last epoch, each
// taken before its step.
type Stats struct {
	// Loss is the mean of the preference's loss, ln 2 where the policy is the reference, without the cross-entropy of what is chosen.
	Loss float64 `json:"dpo_loss"`
	// Accuracy is the share of pairs with a margin above 0, in [0, 1].
	Accuracy float64 `json:"dpo_accuracy"`
	// Margin is the mean implicit reward of chosen over rejected, beta * difference of log(pi/ref); MarginFirst that of the first epoch.
	Margin      float64 `json:"dpo_margin"`
	MarginFirst float64 `json:"dpo_margin_first"`
	// RatioChosen and RatioRejected are the means of log(pi/ref) of whole sides, in nats. Both falling is the failure to watch for.
	RatioChosen   float64 `json:"dpo_ratio_chosen"`
	RatioRejected float64 `json:"dpo_ratio_rejected"`
	// ImitationLoss is the mean of -logp a token of what is chosen.
	ImitationLoss float64 `json:"imitation_loss"`
	// Pairs were learned from, Tokens is the number of their scored tokens, both sides, each once.
	Pairs  int `json:"dpo_pairs"`
	Tokens int `json:"dpo_tokens"`

	Steps        int     `json:"steps"`
	GradNorm     float64 `json:"grad_norm"`
	GradNormMax  float64 `json:"grad_norm_max"`
	LearningRate float64 `json:"learning_rate"`
}

// take counts a step.
func (s *Stats) take(norm float64) {
	s.Steps++
	s.GradNorm += (norm - s.GradNorm) / float64(s.Steps)
	s.GradNormMax = max(s.GradNormMax, norm)
}

// tally sums up what the loss saw of the pairs of an epoch.
type tally struct {
	pairs, loss, accurate, margin, chosen, rejected, imitation float64
}

func (t *tally) add(j judged, chosen, rejected float64) {
	t.pairs++
	t.loss += j.loss
	t.margin += j.margin
	t.imitation += j.imitation
	t.chosen += chosen
	t.rejected += rejected
	if j.margin > 0 {
		t.accurate++
	}
}

// observe fills in the means of the last epoch.
func (s *Stats) observe(t *tally) {
	s.Loss, s.Accuracy, s.Margin = t.loss/t.pairs, t.accurate/t.pairs, t.margin/t.pairs
	s.RatioChosen, s.RatioRejected, s.ImitationLoss = t.chosen/t.pairs, t.rejected/t.pairs, t.imitation/t.pairs
}
